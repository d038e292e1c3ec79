"""The exchange's limits (binance-wire.md 3 and 8.1), pure: the caller passes the time.

Times are seconds: `now_s` of the wall clock where the exchange counts by the minute, `monotonic_s` elsewhere.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from market_simulator.wire import errors

WEIGHT_PER_MINUTE = 6000
REFUSALS_BEFORE_BAN = 10  # 429s within one minute that a client may ignore; the exchange doesn't publish its number
FIRST_BAN_S = 120
LONGEST_BAN_S = 3 * 86_400
MAX_ADDRESSES = 10_000

MESSAGES_PER_SECOND = 5
STREAMS_PER_CONNECTION = 1024
CONNECTS = 300
CONNECT_WINDOW_S = 300.0


@dataclass(slots=True)
class _Account:
    minute: int = 0
    used: int = 0
    refused: int = 0
    ban_s: int = 0
    banned_until_s: float = 0.0


class WeightLimit:
    """Request weight per address and minute; 429 above the budget, 418 for those who go on, longer each time."""

    def __init__(self, budget: int = WEIGHT_PER_MINUTE):
        self.budget = budget
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def spend(self, address: str, weight: int, now_s: float) -> int:
        """Book a call; return the weight used in this minute. Raises the exchange's 429 or 418."""
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
        raise errors.too_much_weight(self.budget, 60 - int(now_s) % 60)

    def used(self, address: str, now_s: float) -> int:
        """The weight used in this minute."""
        return self._account(address, now_s).used

    def _account(self, address: str, now_s: float) -> _Account:
        account = self._accounts.get(address)
        if account is None:
            account = self._accounts[address] = _Account()
            if len(self._accounts) > MAX_ADDRESSES:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(address)
        minute = int(now_s // 60)
        if account.minute != minute:
            account.minute, account.used, account.refused = minute, 0, 0
        return account

    def _ban_error(self, account: _Account, now_s: float) -> errors.ExchangeError:
        left = max(1, int(account.banned_until_s - now_s + 0.999))
        return errors.banned(int(account.banned_until_s * 1000), left)


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
    """Messages of one socket: 5 in any second; pings, pongs and commands all count."""

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
