"""Blocking calls leave gevent's loop running; without gevent they run where they are called."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.offload import Offload, is_patched

ROOT = Path(__file__).resolve().parents[2]

UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import ctypes, gevent, os, time
from shared.offload import Offload, is_patched
assert is_patched()
usleep = ctypes.CDLL(None).usleep       # blocks its native thread; gevent can't patch it
offload = Offload(threads=2)
running, most = [0], [0]
def block():
    running[0] += 1
    most[0] = max(most[0], running[0])
    usleep(200_000)
    running[0] -= 1
    return gevent._threading.get_thread_ident()
turns = [0]
def turn():
    while True:
        turns[0] += 1
        gevent.sleep(0.01)
gevent.spawn(turn)
gevent.sleep(0)
calls = [gevent.spawn(offload.call, block) for _ in range(4)]
gevent.joinall(calls, raise_error=True)
assert turns[0] >= 10, turns            # 0.4 s of blocking, and the loop went on
assert most[0] == 2, most
assert gevent._threading.get_thread_ident() not in {call.value for call in calls}
def fail(*, reason):
    raise LookupError(reason)
try:
    offload.call(fail, reason="why")
except LookupError as error:
    print("raised", error)
offload.close()
try:
    offload.call(block)
except RuntimeError:
    print("closed")
"""


@pytest.mark.integration
def test_under_gevent_the_loop_goes_on_while_native_threads_block() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_GEVENT], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["raised why", "closed"]
    assert done.stderr == ""  # the caller has the error; gevent's pool would print it besides


@pytest.mark.unit
def test_without_gevent_a_call_runs_in_its_own_thread() -> None:
    assert not is_patched()
    assert Offload(threads=1).call(threading.get_ident) == threading.get_ident()
    assert Offload(threads=1).call(divmod, 7, 2) == (3, 1)


@pytest.mark.unit
def test_without_gevent_the_number_of_calls_at_a_time_is_bounded_too() -> None:
    offload = Offload(threads=2)
    meeting = threading.Barrier(3)

    def meet() -> None:
        meeting.wait(timeout=0.3)

    def call() -> None:
        with pytest.raises(threading.BrokenBarrierError):
            offload.call(meet)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(5)
    assert meeting.broken  # three never met: only two were let in


@pytest.mark.unit
def test_errors_come_through_and_closed_means_closed() -> None:
    offload = Offload(threads=1)
    with pytest.raises(ZeroDivisionError):
        offload.call(divmod, 1, 0)
    offload.close()
    with pytest.raises(RuntimeError):
        offload.call(divmod, 1, 1)
    with pytest.raises(ValueError):
        Offload(threads=0)
