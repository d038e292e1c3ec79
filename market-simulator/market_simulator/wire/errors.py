"""The exchange's REST errors (binance-wire.md 8.1): code, message, HTTP status."""

from collections.abc import Mapping

MISSING = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
ILLEGAL = "Illegal characters found in parameter '{}'; legal range is '{}'."


class ExchangeError(Exception):
    """Becomes `{"code": …, "msg": …}` with `status` and `headers`. Clients compare the code, not the text."""

    def __init__(self, code: int, msg: str, status: int = 400, headers: Mapping[str, str] | None = None):
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.status = status
        self.headers = dict(headers or {})

    def document(self) -> dict[str, object]:
        """The body."""
        return {"code": self.code, "msg": self.msg}


def internal(status: int = 503) -> ExchangeError:
    return ExchangeError(-1001, "Internal error; unable to process your request. Please try again.", status)


def too_much_weight(limit: int, retry_after_s: int, minutes: int = 1) -> ExchangeError:
    msg = f"Too much request weight used; current limit is {limit} request weight per {minutes} MINUTE."
    return ExchangeError(-1003, msg, 429, {"Retry-After": str(retry_after_s)})


def banned(until_ms: int, retry_after_s: int) -> ExchangeError:
    msg = f"Way too much request weight used; IP banned until {until_ms}."
    return ExchangeError(-1003, msg, 418, {"Retry-After": str(retry_after_s)})


def too_many_connections() -> ExchangeError:
    return ExchangeError(-1034, "Too many connections.", 429)


def unsupported(status: int = 404) -> ExchangeError:
    return ExchangeError(-1020, "This operation is not supported.", status)


def unknown_session() -> ExchangeError:
    """No error of the exchange's: the first part of a session's base URL leads nowhere."""
    return ExchangeError(-1020, "No such session is open.", 404)


def backward_span() -> ExchangeError:
    return ExchangeError(-1023, "Start time is greater than end time.")


def illegal(name: str, legal: str) -> ExchangeError:
    return ExchangeError(-1100, ILLEGAL.format(name, legal))


def duplicated(name: str) -> ExchangeError:
    return ExchangeError(-1101, f"Duplicate values for a parameter detected: '{name}'.")


def too_many(expected: int, received: int) -> ExchangeError:
    return ExchangeError(-1101, f"Too many parameters; expected '{expected}' and received '{received}'.")


def missing(name: str) -> ExchangeError:
    return ExchangeError(-1102, MISSING.format(name))


def unread(read: int, sent: int) -> ExchangeError:
    return ExchangeError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def empty(name: str) -> ExchangeError:
    return ExchangeError(-1105, f"Parameter '{name}' was empty.")


def overflow(name: str) -> ExchangeError:
    return ExchangeError(-1108, f"Parameter '{name}' overflowed.")


def bad_interval() -> ExchangeError:
    return ExchangeError(-1120, "Invalid interval.")


def bad_symbol() -> ExchangeError:
    return ExchangeError(-1121, "Invalid symbol.")


def bad_symbol_status() -> ExchangeError:
    return ExchangeError(-1122, "Invalid symbolStatus.")


def too_long_a_span() -> ExchangeError:
    return ExchangeError(-1127, "More than one hour between startTime and endTime.")


def bad_combination() -> ExchangeError:
    return ExchangeError(-1128, "Combination of optional parameters invalid.")


def invalid(name: str) -> ExchangeError:
    return ExchangeError(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_ticker_type() -> ExchangeError:
    return ExchangeError(-1139, "Invalid ticker type.")


def repeated_symbol() -> ExchangeError:
    return ExchangeError(-1151, "Symbol is present multiple times in the list.")


def bad_time_unit() -> ExchangeError:
    return ExchangeError(-1194, "Invalid time unit.")


def bad_depth_limit(limit: int) -> ExchangeError:
    return ExchangeError(-4021, f"{limit} is not valid depth limit.")


def not_in_status() -> ExchangeError:
    return ExchangeError(-1220, "The symbol's status does not match the requested symbolStatus.")
