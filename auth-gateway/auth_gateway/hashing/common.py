"""The passwords that everybody tries first: the 30,000 most used ones that zxcvbn's authors collected (MIT licence)."""

import functools


@functools.cache
def _most_used() -> frozenset[str]:
    """Read on first use: 5 MB that a service which registers nobody never needs."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def is_common(password: str) -> bool:
    """Whether this (in lower case) is one of them."""
    return password in _most_used()
