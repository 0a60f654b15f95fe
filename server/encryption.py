"""A key of our own for kept secrets, beside the embedded database: whoever has the one has the other."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cryptography.fernet import Fernet

from server.settings import BadSetting, Settings


def with_own_key(settings: Settings) -> Settings:
    """The settings with a key, made once, where none is set. A database that is shared has none: another process would not know it."""
    if settings.encryption_keys or settings.database_url is not None:
        return settings
    return replace(settings, encryption_keys=(_own(settings.data_dir / "encryption.key"),))


def _own(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _make(file)
    return _checked(file.read_text().strip(), file)


def _checked(key: str, file: Path) -> str:
    try:
        Fernet(key)
    except ValueError as bad:
        raise BadSetting(f"{file} holds no key: put it back as it was, or delete it and set anew every secret that was kept") from bad
    return key


def _make(file: Path) -> None:
    """Whole or not at all, for nobody else to read; of two processes at once the first makes it."""
    new = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(Fernet.generate_key())
        out.flush()
        os.fsync(out.fileno())
    with suppress(FileExistsError):
        file.hardlink_to(new)
    new.unlink()
