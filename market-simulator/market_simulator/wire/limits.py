"""The exchange's limits (binance-wire.md 3 and 8.1), pure: the caller passes the time.

Times are seconds: `now_s` of the wall clock where the exchange counts by the minute, `monotonic_s` elsewhere.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from market_simulator.wire import errors

WEIGHT_PER_MINUTE = 6000
FUTURES_WEIGHT_PER_MINUTE = 2400
REFUSALS_BEFORE_BAN = 10  # 429s within one window that a client may ignore; the exchange doesn't publish its number
FIRST_BAN_S = 120
LONGEST_BAN_S = 3 * 86_400
MAX_ADDRESSES = 10_000

MESSAGES_PER_SECOND = 5
FUTURES_MESSAGES_PER_SECOND = 10
STREAMS_PER_CONNECTION = 1024
CONNECTS = 300
CONNECT_WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one socket, in seconds of the wall clock. Spot's own are the defaults."""

    ping_s: float = 20.0
    pong_timeout_s: float = 60.0
    life_s: float = 86_400.0
    limited: bool = True
    nested_errors: bool = False
    messages_a_second: int = MESSAGES_PER_SECOND


@dataclass(slots=True)
class _Account:
    window: int = 0
    used: int = 0
    refused: int = 0
    ban_s: int = 0
    banned_until_s: float = 0.0


class WeightLimit:
    """Request weight per address and window; 429 above the budget, 418 for those who go on, longer each time."""

    def __init__(self, budget: int = WEIGHT_PER_MINUTE, minutes: int = 1):
        self.budget = budget
        self._minutes, self._window_s = minutes, 60 * minutes
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def spend(self, address: str, weight: int, now_s: float) -> int:
        """Book a call; return the weight used in this window. Raises the exchange's 429 or 418."""
        account = self._account(address, now_s)
        if now_s < account.banned_until_s:
            raise self._ban_error(account, now_s)
        account.used += weight
        if account.used <= self.budget:
            return account.used
        account.refused += 1
        if account.refused > REFUSALS_BEFORE_BAN:
            account.ban_s = min(max(FIRST_BAN_S, account.ban_s * 2), LONGEST_BAN_S)
            account.banned_until_s = now_s + account.ban_s
            raise self._ban_error(account, now_s)
        raise errors.too_much_weight(self.budget, self._window_s - int(now_s) % self._window_s, self._minutes)

    def used(self, address: str, now_s: float) -> int:
        """The weight used in this window."""
        return self._account(address, now_s).used

    def _account(self, address: str, now_s: float) -> _Account:
        account = self._accounts.get(address)
        if account is None:
            account = self._accounts[address] = _Account()
            if len(self._accounts) > MAX_ADDRESSES:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(address)
        window = int(now_s // self._window_s)
        if account.window != window:
            account.window, account.used, account.refused = window, 0, 0
        return account

    def _ban_error(self, account: _Account, now_s: float) -> errors.ExchangeError:
        left = max(1, int(account.banned_until_s - now_s + 0.999))
        return errors.banned(int(account.banned_until_s * 1000), left)


class Limits:
    """The budgets of every path. Spot and futures have one each; funding rates and `/futures/data` count requests."""

    def __init__(self) -> None:
        self.spot, self.futures = WeightLimit(), WeightLimit(FUTURES_WEIGHT_PER_MINUTE)
        self._funding, self._data = WeightLimit(500, 5), WeightLimit(1000, 5)

    def spend(self, address: str, path: str, weight: int, now_s: float) -> None:
        """Book a call. Raises the exchange's 429 or 418."""
        self._weights(path).spend(address, weight, now_s)
        if path.startswith("/fapi/v1/funding"):
            self._funding.spend(address, 1, now_s)
        elif path.startswith("/futures/"):
            self._data.spend(address, 1, now_s)

    def used(self, address: str, path: str, now_s: float) -> int:
        """The weight used in this minute, for the header."""
        return self._weights(path).used(address, now_s)

    def _weights(self, path: str) -> WeightLimit:
        return self.spot if path.startswith("/api") else self.futures


class ConnectLimit:
    """New sockets per address: 300 in 5 minutes."""

    def __init__(self, most: int = CONNECTS, window_s: float = CONNECT_WINDOW_S):
        self._most, self._window_s = most, window_s
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def enter(self, address: str, monotonic_s: float) -> None:
        """Book an attempt. Raises the exchange's error above the limit."""
        times = self._times.setdefault(address, deque(maxlen=self._most))
        self._times.move_to_end(address)
        if len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)
        if len(times) == self._most and monotonic_s - times[0] < self._window_s:
            raise errors.too_many_connections()
        times.append(monotonic_s)


@dataclass(slots=True)
class MessageRate:
    """Messages of one socket, 5 in any second unless told otherwise; pings, pongs and commands all count."""

    most: int = MESSAGES_PER_SECOND
    _times: deque[float] = field(default_factory=deque)

    def allows(self, monotonic_s: float) -> bool:
        """Book one message; False when it is one too many."""
        while self._times and monotonic_s - self._times[0] >= 1.0:
            self._times.popleft()
        if len(self._times) >= self.most:
            return False
        self._times.append(monotonic_s)
        return True
