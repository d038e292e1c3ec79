"""Every call that a service answers stands in its description, so that none is open because nobody thought of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.fleet import ROOT, FleetService, read_fleet
from tools.api_document import document

pytestmark = pytest.mark.integration
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ASK = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from importlib import import_module
service = import_module(sys.argv[3] + ".service").build()
print(json.dumps([[rule.rule, sorted(rule.methods)] for rule in service.app.url_map.iter_rules()]))
"""
EXCHANGES = r"(?:/s/\{session_id\})?/(?:api|fapi|dapi|futures)(?:/.*)?"  # as Binance describes them itself
# What stands in no description, by service, and what is judged otherwise.
KNOWN = {
    "auth-gateway": r"/api/\{name\}(?:/.*)?|/auth/vouch",  # each service's own calls; nginx's question
    "market-simulator": EXCHANGES,
}


def answered(service: FleetService, folder: Path) -> set[tuple[str, str]]:
    """Methods and paths of a service as it is built, whether it tells of them or not."""
    words = [sys.executable, "-c", ASK, str(ROOT), str(ROOT / service.name), service.package]
    env = {"PATH": os.environ["PATH"], "ENV_FILES": "false", "VAR_DIR": str(folder), "LOG_LEVEL": "ERROR"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60)
    rules = json.loads(done.stdout.splitlines()[-1])
    named = [(re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule), methods) for rule, methods in rules]
    return {(method, path) for path, methods in named for method in METHODS & set(methods)}


@pytest.mark.parametrize("service", read_fleet().services, ids=lambda service: service.name)
def test_every_call_of_a_service_is_described_and_says_what_it_needs(service: FleetService, tmp_path: Path) -> None:
    described = document(service)["paths"]
    told = {(method.upper(), path) for path, operations in described.items() for method in operations}
    found = answered(service, tmp_path)
    known = re.compile(KNOWN.get(service.name, r"(?!)"))
    assert {call for call in found - told if not known.fullmatch(call[1])} == set()
    assert told <= found
    needs = [operation["x-needs"] for operations in described.values() for operation in operations.values()]
    assert set(needs) <= {"open", "read", "write", "admin"}
