"""Secrets that must be read again, such as those that webhooks are signed with: kept encrypted, with keys that never enter the database."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from domain.errors import Conflict, Unavailable


class Vault:
    """Encrypts with the first key and decrypts with any, so that keys can be replaced one after the other."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, secret: str) -> bytes:
        """What is stored; raises Conflict when the server has no key."""
        if self._fernet is None:
            raise Conflict("the server keeps no secrets: set ROLLWAVE_ENCRYPTION_KEY, the same for all its processes")
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """What was sealed; raises Unavailable when the server does not have the key it was sealed with."""
        try:
            if self._fernet is not None:
                return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            pass
        raise Unavailable("a kept secret was encrypted with a key that is not in ROLLWAVE_ENCRYPTION_KEY: add that key, or set it anew")
