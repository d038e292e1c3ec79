"""A secret that a fleet makes for itself, once, and keeps in a file that only its user can read."""

import contextlib
import os
import secrets
from pathlib import Path

MIN_BYTES = 32


def kept_secret(path: Path) -> bytes:
    """What the file holds, made with 256 random bits if there is none; whole or not there at any moment.

    Several processes may ask at a time and get the same. Raises OSError.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
                os.link(made, path)
        finally:
            made.unlink()
    secret = path.read_text("ascii").strip().encode()
    if len(secret) < MIN_BYTES:
        raise OSError(f"{path} holds no secret of {MIN_BYTES} bytes; remove it, and start again")
    return secret
