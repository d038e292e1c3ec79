"""Hashing gives way to everything else that the gateway does."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_gateway.hashing import argon2_hasher
from auth_gateway.hashing.argon2_hasher import NICE, Argon2Hasher

pytestmark = pytest.mark.unit


def priority(*_: str) -> str:
    return str(os.getpriority(os.PRIO_PROCESS, 0))  # of this thread


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread a priority of its own")
def test_a_thread_that_hashes_has_a_lower_priority_than_the_one_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    before = priority()
    monkeypatch.setattr(argon2_hasher, "is_patched", lambda: True)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(argon2_hasher._giving_way, priority).result() == str(NICE)
    assert priority() == before


def test_without_a_thread_of_its_own_it_changes_no_priority() -> None:
    before = priority()
    hasher = Argon2Hasher()
    assert hasher.verify(hasher.hash("correct horse battery"), "correct horse battery")
    assert priority() == before
    hasher.close()
