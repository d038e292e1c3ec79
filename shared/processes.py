"""What a process may ask of the system about its parent."""

import ctypes
import platform

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(number: int) -> None:
    """Be sent this signal when the parent's thread that started us ends. Linux only; elsewhere nothing happens."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
