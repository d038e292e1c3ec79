"""What can be replayed is found by reading the folder; what can't is said in a sentence."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from market_simulator.klines.kline_json import kline_json
from market_simulator.replay.market import ReplayMarket
from market_simulator.replay_folder import ReplayFolder
from shared.errors import InvalidInput, NotFound

REAL = Path(__file__).parents[3] / "shared" / "market-data" / "klines-1m"
MAY_MS = 1_621_382_400_000  # 2021-05-19
JANUARY_MS = 1_642_982_400_000  # 2022-01-24
MINUTE_MS = 60_000


def write(folder: Path, name: str, start_ms: int, closes: list[float]) -> None:
    rows = [[start_ms + i * MINUTE_MS, close, close + 1, close - 1, close, 9.5] for i, close in enumerate(closes)]
    (folder / name).write_bytes(gzip.compress(json.dumps(rows).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    two_days = [50_000.0] * 1440 + [30_000.0] * 1440
    write(tmp_path, "binance-BTC_USDT-1m-20210518-20210519.json.gz", MAY_MS - 1440 * MINUTE_MS, two_days)
    write(tmp_path, "binance-ETH_USDT-1m-20210518-20210519.json.gz", MAY_MS - 700 * MINUTE_MS, [2000.0] * 1300 + [1.5])
    lines = ["timestamp,open,high,low,close,volume"]
    lines += [f"2022-01-24 13:{minute:02d}:00.000000,35000.0,35010.0,34990.0,35001.0,1000.5" for minute in range(60)]
    (tmp_path / "btc-perp-1m-2022.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "binance-XRP_USDT-1m-broken.json.gz").write_bytes(b"no gzip")
    (tmp_path / "binance-ADA_USDT-1m-odd.json").write_text('[[1,2,3,4,5,"6"]]')
    (tmp_path / "notes.txt").write_text("not a recording")
    return tmp_path


def test_replays_are_named_by_the_day_on_which_most_symbols_stood_lowest(folder: Path) -> None:
    found = ReplayFolder(folder)
    assert [(one.date, [bars.symbol for bars in one.symbols]) for one in found.replays()] == [
        ("2021-05-19", ["BTCUSDT", "ETHUSDT"]),
        ("2022-01-24", ["BTCUSD"]),
    ]
    described = found.replays()[0].described()
    assert (described["from"], described["to"]) == (MAY_MS - 1440 * MINUTE_MS, MAY_MS + 1440 * MINUTE_MS)
    assert json.loads(json.dumps(described))["symbols"]["ETHUSDT"]["bars"] == 1301


def test_files_that_are_none_are_left_out_and_said_why(folder: Path) -> None:
    found = ReplayFolder(folder)
    found.replays()
    assert found.unreadable.keys() == {"binance-XRP_USDT-1m-broken.json.gz", "binance-ADA_USDT-1m-odd.json"}


@pytest.mark.parametrize(
    ("moment", "start_ms", "symbols"),
    [
        ("2021-05-19", MAY_MS, ["BTCUSDT", "ETHUSDT"]),
        ("2021-05-18", MAY_MS - 1440 * MINUTE_MS, ["BTCUSDT", "ETHUSDT"]),
        ("2021-05-19T09:30:00Z", MAY_MS + 570 * MINUTE_MS, ["BTCUSDT", "ETHUSDT"]),
        ("2021-05-19T11:00:00Z", MAY_MS + 660 * MINUTE_MS, ["BTCUSDT"]),
        ("2022-01-24", JANUARY_MS + 780 * MINUTE_MS, ["BTCUSD"]),
        ("2022-01-24T15:30:00+02:00", JANUARY_MS + 810 * MINUTE_MS, ["BTCUSD"]),
    ],
)
def test_a_date_or_an_instant_starts_what_was_recorded_then(
    folder: Path, moment: str, start_ms: int, symbols: list[str]
) -> None:
    replay, at_ms = ReplayFolder(folder).find(moment)
    assert (at_ms, [bars.symbol for bars in replay.symbols]) == (start_ms, symbols)


@pytest.mark.parametrize("moment", ["2021-05-17", "2021-05-20", "2022-01-24T14:00:00Z", "2100-01-01"])
def test_a_time_that_nobody_recorded_is_not_found_and_the_answer_names_the_others(folder: Path, moment: str) -> None:
    with pytest.raises(NotFound, match=r"2021-05-19 \(2021-05-18 to 2021-05-19\), 2022-01-24"):
        ReplayFolder(folder).find(moment)


@pytest.mark.parametrize("moment", ["", "yesterday", "../2021-05-19", "2021-05-19\0"])
def test_what_is_no_time_is_refused_with_the_fields_name(folder: Path, moment: str) -> None:
    with pytest.raises(InvalidInput, match="replay"):
        ReplayFolder(folder).find(moment)


def test_without_a_folder_or_with_nothing_in_it_the_answer_says_so(tmp_path: Path) -> None:
    for folder in (None, tmp_path, tmp_path / "missing"):
        with pytest.raises(NotFound, match="SIM_REPLAY_DIR"):
            ReplayFolder(folder).find("2021-05-19")


def expected(path: Path) -> Iterator[tuple[int, tuple[Decimal, ...]]]:
    """A file's bars, read another way; the later one of a duplicate, to the eighth place.

    A figure is the shortest decimal of its float: one writer put 71987235.40000001 for 71987235.4.
    """
    text = gzip.decompress(path.read_bytes()).decode()
    if ".csv" in path.name:
        rows = [
            (int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 1000, cells)
            for at, *cells in (line.split(",") for line in text.splitlines()[1:])
        ]
    else:
        rows = [(int(row[0]), row[1:]) for row in json.loads(text, parse_float=str, parse_int=str)]
    for at_ms, cells in sorted(dict(rows).items()):
        yield at_ms, tuple(round(Decimal(repr(float(cell))), 8) for cell in cells)


real_files = sorted(REAL.glob("*.gz"))


@pytest.fixture(scope="module")
def real() -> ReplayFolder:
    if not real_files:
        pytest.skip("the recorded minute bars are not beside this checkout")
    return ReplayFolder(REAL)


def symbol_of(path: Path) -> str:
    return "BTCUSD" if "perp" in path.name else path.name.split("-")[1].replace("_", "")


def test_the_recorded_crashes_are_found(real: ReplayFolder) -> None:
    assert [one.date for one in real.replays()] == ["2020-03-12", "2021-05-19", "2022-01-24"]
    assert real.unreadable == {}
    assert sum(len(one.symbols) for one in real.replays()) == len(real_files) == 8


@pytest.mark.parametrize("path", real_files or [None], ids=lambda path: symbol_of(path) if path else "none")
def test_klines_equal_the_recorded_bars_figure_by_figure(real: ReplayFolder, path: Path) -> None:
    market = market_of(real, path)
    table = market.klines_table(2**42, "1m", limit=100_000)
    shown = [(row[0], tuple(map(Decimal, row[1:6]))) for row in json.loads(kline_json(table))]
    wanted = list(expected(path))
    assert len(wanted) > 42_000
    assert shown == wanted


@pytest.mark.parametrize("path", real_files or [None], ids=lambda path: symbol_of(path) if path else "none")
def test_the_trades_of_the_lowest_hours_give_the_recorded_bars(real: ReplayFolder, path: Path) -> None:
    market = market_of(real, path)
    bars = dict(expected(path))
    lowest_ms = min(bars, key=lambda at_ms: bars[at_ms][2])
    compared = 0
    for at_ms in range(lowest_ms - 60 * MINUTE_MS, lowest_ms + 60 * MINUTE_MS, MINUTE_MS):
        trades = market.trades(2**42, limit=100_000, start_ms=at_ms, end_ms=at_ms + MINUTE_MS - 1)
        if not bars[at_ms][4]:
            assert trades == []
            continue
        prices = [trade.price for trade in trades]
        figures = prices[0], max(prices), min(prices), prices[-1], sum(trade.quantity for trade in trades)
        assert tuple(Decimal(figure) / 10**8 for figure in figures) == bars[at_ms]
        compared += len(trades)
    assert compared > 1_000, f"compared {compared} trades"


def market_of(folder: ReplayFolder, path: Path) -> ReplayMarket:
    bars = next(bars for one in folder.replays() for bars in one.symbols if bars.symbol == symbol_of(path))
    return ReplayMarket(bars, seed=1)
