"""The house keeps its rules: imports point down, only config reads the environment, and importing does nothing."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.fleet import ROOT, FleetService, read_fleet

pytestmark = pytest.mark.unit

SERVICES = read_fleet().services
SOURCE_FOLDERS = [ROOT / "shared", *(ROOT / service.name / service.package for service in SERVICES)]
PYTHONPATH = os.pathsep.join([str(ROOT), *(str(ROOT / service.name) for service in SERVICES)])
# Alembic runs its files itself, as scripts.
SCRIPTS = "migrations"


def source_files() -> list[Path]:
    """Every module of the library and the services, tests and the library's test tools aside."""
    return [
        path
        for folder in SOURCE_FOLDERS
        for path in sorted(folder.rglob("*.py"))
        if not {"tests", "testing", SCRIPTS} & set(path.relative_to(ROOT).parts)
    ]


def module_name(path: Path) -> str:
    folder = ROOT if path.is_relative_to(ROOT / "shared") else ROOT / path.relative_to(ROOT).parts[0]
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def topics() -> list[str]:
    section = contracts()["importlinter:contract:topics-know-no-outside"]
    return section["source_modules"].split()


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in it, as written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_imports_point_down() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert program, "import-linter is not installed beside this Python"
    ended = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, env={**os.environ, "PYTHONPATH": PYTHONPATH}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout[ended.stdout.find("Contracts") :] + ended.stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_lowest_floor_of_a_service_is_its_list_of_topics(service: FleetService) -> None:
    """Both lists stand in .importlinter; a topic missing from the second would escape its contract."""
    name, package = service.name, service.package
    layers = contracts()[f"importlinter:contract:floors-of-{name}"]["layers"]
    lowest = layers.strip().splitlines()[-1].split(":")
    listed = [topic for topic in topics() if topic.startswith(f"{package}.")]
    assert sorted(listed) == sorted(f"{package}.{part.strip()}" for part in lowest)


def reads_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os"


def test_only_config_reads_the_environment() -> None:
    trees = {module_name(path): ast.parse(path.read_text("utf-8")) for path in source_files()}
    readers = {name for name, tree in trees.items() if any(map(reads_environment, ast.walk(tree)))}
    assert readers == {"shared.config"}


def test_topics_ask_no_clock_socket_or_process_of_the_machine() -> None:
    forbidden = {"time", "socket", "ssl", "subprocess", "os", "sqlite3", "select", "signal"}
    offenders = []
    for path in source_files():
        if module_name(path) in topics():
            tree = ast.parse(path.read_text("utf-8"))
            found = {name.split(".")[0] for name in imports(tree)} & forbidden
            asked = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {"utcnow", "today"}
            offenders += [f"{module_name(path)}: {sorted(found | asked)}"] if found | asked else []
    assert offenders == []


def test_nobody_imports_an_app() -> None:
    """Two services' app.py have one name: the second import would silently give the first one's."""
    assert [path for path in source_files() if "app" in set(imports(ast.parse(path.read_text("utf-8"))))] == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_app_patches_before_anything_else_and_runs_only_as_the_program(service: FleetService) -> None:
    body = ast.parse((ROOT / service.name / "app.py").read_text("utf-8")).body
    code = [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    assert [ast.unparse(node) for node in code[:2]] == ["from gevent import monkey", "monkey.patch_all()"]
    assert ast.unparse(code[-1]).startswith("if __name__ == '__main__':")


# Third-party packages come first: some of them open a socket on import (urllib3 tries IPv6), which isn't ours to judge.
NOT_INSTALLED = {"pyarrow"}  # optional: imported by the one call that needs it, which says so where it is missing
IMPORT_ALL = """
import importlib, sys, threading
outside, ours = sys.argv[1].split(","), sys.argv[2].split(",")
for name in outside:
    importlib.import_module(name)
WATCHED = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.fork"}
done = []
def watch(event, arguments):
    if event in WATCHED or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
        done.append(f"{event} {arguments}")
before = set(threading.enumerate())
sys.addaudithook(watch)
sys.dont_write_bytecode = True
for name in ours:
    importlib.import_module(name)
assert not done, done
assert set(threading.enumerate()) == before, threading.enumerate()
print("imported", len(ours))
"""


def test_importing_opens_nothing_starts_nothing_and_reads_no_setting() -> None:
    names = [module_name(path) for path in source_files()]
    used = {name for path in source_files() for name in imports(ast.parse(path.read_text("utf-8")))}
    own = {"shared", *(service.package for service in SERVICES)}
    outside = sorted(name for name in used if name.split(".")[0] not in own | NOT_INSTALLED)
    wrong = {"PORT": "none", "LOG_LEVEL": "loud", "REDIS_ENABLED": "perhaps"}  # whoever reads a setting now stops here
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(outside), ",".join(names)],
        cwd=ROOT, env={**wrong, "PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout == f"imported {len(names)}\n"


def test_no_file_is_grown_past_what_a_stranger_can_read() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in source_files()}
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_every_exception_to_a_check_says_why() -> None:
    """`noqa` and `type: ignore` need a code and a reason on their line."""
    bare = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))|#\s*(?:noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[^\]]*\])\s*$")
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in source_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert lines == []
