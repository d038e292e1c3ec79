"""Lies about REST as pure decisions: who is refused, who waits, who gets an old book, and the record of it."""

from market_simulator.market import BookView
from market_simulator.wire.errors import banned, internal, too_much_weight
from market_simulator.wire.rest_rules import MAX_RECORDED, Refuse, RestRules, Slow, StaleSnapshot, Verdict


def test_calls_are_refused_by_share_seed_and_path() -> None:
    rules, other = RestRules(), RestRules()
    for one in (rules, other):
        one.rules.append(Refuse("/api/v3/depth", 0.5, 4, make=lambda _: internal()))
    fates = [rules.judge("/api/v3/depth", 1.0).error is not None for _ in range(200)]
    assert fates == [other.judge("/api/v3/depth", 1.0).error is not None for _ in range(200)]
    assert 60 < sum(fates) < 140
    assert all(rules.judge("/api/v3/time", 1.0) == Verdict() for _ in range(50))
    assert rules.rules[0].truth()["calls"] == sum(fates) == len(rules.rules[0].truth()["newest"])


def test_delays_add_up_and_the_oldest_refusal_is_given() -> None:
    rules = RestRules()
    refusal = Refuse("", 1.0, 1, make=lambda now_s: too_much_weight(6000, 60 - int(now_s) % 60))
    rules.rules += [Slow("", 1.0, 1, delay_s=0.5), refusal, Slow("", 1.0, 2, delay_s=0.25)]
    rules.rules.append(Refuse("", 1.0, 1, make=lambda now_s: banned(int(now_s * 1000), 9)))
    verdict = rules.judge("/api/v3/ping", 119.5)
    assert verdict.delay_s == 0.75
    assert verdict.error is not None
    assert (verdict.error.status, verdict.error.headers) == (429, {"Retry-After": "1"})
    rules.remove(refusal)
    verdict = rules.judge("/api/v3/ping", 119.5)
    assert verdict.error is not None
    assert verdict.error.status == 418


def test_a_stale_book_is_shown_for_its_symbol_until_it_is_removed() -> None:
    rules, old = RestRules(), BookView(7, [(1, 2)], [(3, 4)])
    snapshot = StaleSnapshot("BTCUSDT", old)
    rules.snapshots.append(snapshot)
    assert rules.book("BTCUSDT") is old
    assert rules.book("ETHUSDT") is None
    assert snapshot.truth() == {"last_update_id": 7, "snapshots_served": 1}
    rules.remove_snapshot(snapshot)
    assert rules.book("BTCUSDT") is None


def test_the_record_is_bounded() -> None:
    rule = Slow("", 1.0, 1, delay_s=1.0)
    for _ in range(MAX_RECORDED + 10):
        rule.judge("/x" * 500, 1.0)
    truth = rule.truth()
    assert truth["calls"] == MAX_RECORDED + 10
    assert len(truth["newest"]) == MAX_RECORDED
    assert max(len(one["path"]) for one in truth["newest"]) == 80
