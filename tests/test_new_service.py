"""`make new-service` in a copy of the repository: what it makes runs and keeps the fleet's lists."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from shared.fleet import ROOT
from shared.testing.net import free_port, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
NAME = "funding-watch"


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A module of the copy, by the tests' Python."""
    env = {**os.environ, "PYTHONPATH": str(copy), "ENV_FILES": "false"}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)


def state(copy: Path) -> str:
    """What differs from what was committed, to the letter."""
    words = ["git", "-C", str(copy)]
    return subprocess.check_output([*words, "status", "--porcelain"], text=True) + subprocess.check_output(
        [*words, "diff"], text=True
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tracked files as they are now, under git of their own, with the new service made."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git, and a checkout, are needed")
    copy = tmp_path_factory.mktemp("copy")
    for file in subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-z"], text=True).split("\0"):
        if file and (ROOT / file).is_file():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, copy / file)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", "-C", str(copy), *words], check=True)
    done = run(copy, "tools.new_service", NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    yield copy
    shutil.rmtree(copy)


def test_what_is_made_from_the_list_is_made_anew(copy: Path) -> None:
    done = run(copy, "tools.render", "--check")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("words", [["ruff", "check", "."], ["mypy", NAME]], ids=["ruff", "mypy"])
def test_its_code_is_clean(copy: Path, words: list[str]) -> None:
    done = run(copy, *words)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_houses_rules_and_lists_hold(copy: Path) -> None:
    tests = ["tests/test_architecture.py", "tests/test_containers.py", "tests/test_documents.py"]
    done = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "-m", "unit", *tests)
    assert done.returncode == 0, done.stdout[-3000:]


def test_it_runs_and_answers(copy: Path) -> None:
    port = free_port()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(copy), "PORT": str(port), "VAR_DIR": str(copy / "var")}
    folder = copy / NAME
    with subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port), 30, what="the new service")
            greeting = urllib3.request("GET", f"http://127.0.0.1:{port}/greeting/ada").json()
            assert greeting == {"success": True, "message": "hello ada"}
            assert urllib3.request("GET", f"http://127.0.0.1:{port}/stats").json()["data"]["service"] == NAME
        finally:
            process.terminate()
        assert process.wait(15) == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (NAME, "already"), ("dashboard", "already"), ("Bad Name", "small letters"), ("../up", "small letters"),
        ("ab", "small letters"), ("shared", "already"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_told_in_one_line_and_nothing_changes(copy: Path, name: str, why: str) -> None:
    before = state(copy)
    done = run(copy, "tools.new_service", name)
    assert done.returncode == 1
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(copy) == before


def test_a_taken_port_is_refused(copy: Path) -> None:
    done = run(copy, "tools.new_service", "another-one", "--port", "5020")
    assert (done.returncode, "database-service" in done.stderr) == (1, True)


def _answers(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/health/ready", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
