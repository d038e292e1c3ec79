"""POST /signals/batch as the contract has it, over the service in the process and, for its bounds, as it runs."""

import gzip
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import urllib3

from database_service import batches
from database_service.batches import MAX_DETAILS, MAX_ROWS, Turns
from database_service.config import DatabaseSettings
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

from .client import SIGNAL, Client

pytestmark = [pytest.mark.api, pytest.mark.integration]
PATH = "/signals/batch"
NDJSON = "application/x-ndjson"


def row(**fields: Any) -> dict[str, Any]:
    return SIGNAL | fields


def results(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Each row's status, with its id or the code of its error."""
    found = document["results"]
    assert [result["index"] for result in found] == list(range(len(found)))
    return [(r["status"], r.get("signal_id") or r.get("error", {}).get("code", "")) for r in found]


def counts(document: dict[str, Any]) -> tuple[int, int, int]:
    return document["stored"], document["duplicates"], document["refused"]


def test_each_row_gets_its_verdict_and_the_good_ones_are_stored(client: Client) -> None:
    client.save(signal_id="known")
    rows = [row(signal_id="a"), row(price=0), row(signal_id="known"), row(signal_id="known", price=2.0), row()]
    document = client.post(PATH, rows)
    assert counts(document) == (2, 1, 2)
    assert results(document) == [
        ("stored", "a"),
        ("refused", "validation_error"),
        ("duplicate", "known"),
        ("refused", "validation_error"),
        ("stored", "BTCUSDT:2025-11-01T10:47:01.535448"),
    ]
    wrong = [result["error"]["details"][0]["field"] for result in document["results"] if "error" in result]
    assert wrong == ["price", "signal_id"]
    assert sorted(client.ids()) == ["BTCUSDT:2025-11-01T10:47:01.535448", "a", "known"]


def test_lines_and_gzip_say_the_same_as_an_array(client: Client) -> None:
    lines = b"\n".join(json.dumps(row(signal_id=name)).encode() for name in "abc") + b"\n{not json}\n"
    headers = {"Content-Encoding": "gzip"}
    document = client.ok(client.send("POST", PATH, data=gzip.compress(lines), content_type=NDJSON, headers=headers))
    assert results(document) == [("stored", "a"), ("stored", "b"), ("stored", "c"), ("refused", "malformed")]
    again = client.post(PATH, [row(signal_id=name) for name in "abc"])
    assert counts(again) == (0, 3, 0)


def test_rows_at_one_place_get_their_ordinals(client: Client) -> None:
    document = client.post(PATH, [row(price=n + 1) for n in range(3)] + [row(price=2)])
    place = "BTCUSDT:2025-11-01T10:47:01.535448"
    assert results(document) == [
        ("stored", place), ("stored", f"{place}~2"), ("stored", f"{place}~3"), ("duplicate", f"{place}~2"),
    ]  # fmt: skip


def test_a_time_out_of_range_refuses_its_row_alone(client: Client) -> None:
    document = client.post(PATH, [row(timestamp="2001-01-01T00:00:00Z"), row(signal_id="a")])
    assert results(document) == [("refused", "validation_error"), ("stored", "a")]
    assert document["results"][0]["error"]["details"][0]["field"] == "timestamp"


def test_all_or_nothing_stores_nothing_if_one_row_is_bad(client: Client) -> None:
    client.save(signal_id="known")
    for bad in (row(price=0), row(signal_id="known", price=2.0)):
        answer = client.send("POST", f"{PATH}?atomic=true", [row(signal_id="a"), bad, row(signal_id="known")])
        document = answer.get_json()
        assert (answer.status_code, document["success"], counts(document)) == (422, False, (0, 1, 1))
        assert [status for status, _ in results(document)] == ["not_stored", "refused", "duplicate"]
        assert document["error"]["code"] == "validation_error"
        assert [d["field"] for d in document["error"]["details"]] in (["1.price"], ["1.signal_id"])
    assert client.ids() == ["known"]
    assert client.get("/stats")["data"]["signal_count"] == 1


def test_all_or_nothing_stores_all_if_none_is_bad(client: Client) -> None:
    document = client.ok(client.send("POST", f"{PATH}?atomic=true", [row(signal_id="a"), row(signal_id="b")]))
    assert counts(document) == (2, 0, 0)


def test_the_error_of_a_whole_batch_names_a_bounded_number_of_fields(client: Client) -> None:
    document = client.send("POST", f"{PATH}?atomic=true", [7] * 100).get_json()
    assert len(document["error"]["details"]) == MAX_DETAILS
    assert document["refused"] == len(document["results"]) == 100


def test_the_same_batch_under_its_key_gets_the_same_answer_and_is_stored_once(client: Client) -> None:
    rows = [row(price=1), row(price=0), row(price=2)]
    first = client.post(PATH, rows, key="k")
    client.clock.advance(60)  # rows without a time would now be other rows
    again = client.post(PATH, [dict(reversed(list(one.items()))) for one in rows], key="k")
    assert again == first
    assert counts(first) == (2, 0, 1)
    assert len(client.ids()) == 2


@pytest.mark.parametrize("query", ["", "?atomic=true"])
def test_another_batch_under_the_same_key_is_refused(client: Client, query: str) -> None:
    client.post(PATH, [row(price=1)], key="k")
    changed = [row(price=1 if query else 2)]
    error = client.refused(422, "POST", PATH + query, changed, headers={"Idempotency-Key": "k"})
    assert error["fields"] == ["Idempotency-Key"]
    assert len(client.ids()) == 1


def test_a_batch_that_was_undone_does_not_use_up_its_key(client: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.send("POST", f"{PATH}?atomic=true", [row(price=0)], headers=headers).status_code == 422
    document = client.ok(client.send("POST", f"{PATH}?atomic=true", [row(price=1)], headers=headers))
    assert counts(document) == (1, 0, 0)


def test_without_a_database_a_batch_says_that_it_is_not_durable(memory_client: Client) -> None:
    document = memory_client.post(PATH, [row(signal_id="a"), row(price=0)], key="k")
    assert (counts(document), document["durable"]) == ((1, 0, 1), False)
    assert memory_client.post(PATH, [row(signal_id="a"), row(price=0)], key="k") == document
    assert memory_client.send("POST", f"{PATH}?atomic=true", [row(signal_id="b"), 7]).status_code == 422
    assert memory_client.ids() == ["a"]


WAITING = 4


def test_a_few_batches_wait_and_the_others_are_told_to_come_back(
    client: Client, embedded: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_WAITING_ROWS", WAITING)  # each has one row here

    def send(number: int) -> Any:
        return client.send("POST", PATH, [row(signal_id=f"b{number}")])

    with closing(sqlite3.connect(embedded.sqlite_path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # the first batch waits for it, the others for the first
        with ThreadPoolExecutor(2 * WAITING) as pool:
            sent = [pool.submit(send, number) for number in range(2 * WAITING)]
            wait_until(lambda: sum(one.done() for one in sent) == WAITING, 2, what="the others are answered")
            other.execute("ROLLBACK")
            answers = [one.result() for one in sent]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == WAITING
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert sorted(answer.status_code for answer in answers)[:WAITING] == [200] * WAITING
    assert len(client.ids()) == WAITING
    assert counts(client.post(PATH, [row(signal_id="later")])) == (1, 0, 0)


def test_batches_take_turns() -> None:
    turns, inside = Turns(), threading.Event()

    def take() -> None:
        with turns.take(1):
            inside.set()

    with turns.take(1):
        second = threading.Thread(target=take)
        second.start()
        assert not inside.wait(0.05)
    second.join(5)
    assert inside.is_set()


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (422, b"[]", "application/json"),
        (422, b"{}", "application/json"),
        (422, b"\n", NDJSON),
        (400, b"[", "application/json"),
        (400, b'[{"price": 1e999}]', "application/json"),
        (413, b"[" + b"1," * MAX_ROWS + b"1]", "application/json"),
        (413, b"{}\n" * (MAX_ROWS + 1), NDJSON),
        (415, b"[]", "text/csv"),
    ],
)
def test_what_is_wrong_with_the_whole_is_one_error(
    client: Client, status: int, body: bytes, content_type: str
) -> None:
    client.refused(status, "POST", PATH, data=body, content_type=content_type)


def test_unknown_parameters_are_refused(client: Client) -> None:
    assert client.refused(422, "POST", f"{PATH}?atomic=perhaps", [row()])["fields"] == ["atomic"]
    assert client.refused(422, "POST", f"{PATH}?more=1", [row()])["fields"] == ["more"]


@pytest.fixture(scope="module")
def running() -> Iterator[ServiceProcess]:
    with ServiceProcess("database-service", {"RATE_LIMIT_ENABLED": "false"}) as service:
        yield service


def send(service: ServiceProcess, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.request("POST", service.base_url + PATH, body=body, headers=sent, timeout=30, retries=False)


def test_the_largest_batch_is_stored_whole(running: ServiceProcess) -> None:
    rows = [row(signal_id=f"large-{n}", price=n + 1) for n in range(MAX_ROWS)]
    answer = send(running, json.dumps(rows).encode(), Content_Type="application/json")
    document = answer.json()
    assert (answer.status, counts(document)) == (200, (MAX_ROWS, 0, 0))
    assert document["results"][-1] == {"index": MAX_ROWS - 1, "status": "stored", "signal_id": f"large-{MAX_ROWS - 1}"}
    assert running.get("/stats")["data"]["signal_count"] >= MAX_ROWS


def test_a_body_over_its_bound_is_413_packed_or_not(running: ServiceProcess) -> None:
    large = b"[" + b" " * 10_000_000 + b"]"
    assert send(running, large, Content_Type="application/json").status == 413
    packed = gzip.compress(large)
    assert send(running, packed, Content_Type="application/json", Content_Encoding="gzip").status == 413
