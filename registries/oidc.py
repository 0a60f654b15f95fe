"""Whether a token is one that Google signed for a service account: how Pub/Sub proves who it is."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import jwt
from pydantic_core import from_json

from domain.registries import Unanswered

GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_ALGORITHM = "RS256"
_LEEWAY = timedelta(seconds=30)  # between Google's clock and ours

_KEPT = timedelta(hours=1)
_RESTED = timedelta(minutes=1)
_SECONDS = 5
_MOST_READ = 262_144
# A token may nest its header deeper than Python follows.
_UNREADABLE = (jwt.PyJWTError, ValueError, RecursionError)


class Keys:
    """The public keys tokens are signed with, fetched when needed and kept for an hour."""

    def __init__(self, http: aiohttp.ClientSession, url: str = GOOGLE_KEYS) -> None:
        self._http = http
        self._url = url
        self._known: Mapping[str, jwt.PyJWK] = {}
        self._read_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._asking: asyncio.Task[None] | None = None

    async def find(self, kid: str, now: datetime) -> jwt.PyJWK | None:
        """The key of this name, if there is one; raises Unanswered when that cannot be known."""
        if self._is_due(kid, now):
            await self._refresh(now)
        return self._known.get(kid)

    def _is_due(self, kid: str, now: datetime) -> bool:
        """A key unknown so far may be new, but anybody can name one that never was."""
        if self._read_at is None or self._asked_at is None or now - self._read_at >= _KEPT:
            return True
        return kid not in self._known and now - self._asked_at >= _RESTED

    async def _refresh(self, now: datetime) -> None:
        """Ask once for all who wait; one of them giving up leaves the others their answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(now))
            self._asking.add_done_callback(_noted)
        await asyncio.shield(self._asking)

    async def _ask(self, now: datetime) -> None:
        self._asked_at = now
        self._known = await _fetched(self._http, self._url)
        self._read_at = now


async def is_authentic(token: str, keys: Keys, *, audience: str, service_account: str, now: datetime) -> bool:
    """Whether Google signed this for the service account and this audience, and it is valid now; raises Unanswered without the keys."""
    kid = _kid(token)
    key = None if kid is None else await keys.find(kid, now)
    claims = None if key is None else _claims(token, key, audience)
    return claims is not None and _is_of(claims, service_account) and _is_valid(claims, now)


def _kid(token: str) -> str | None:
    """The name of the key it says it was signed with; none when it cannot be read or is signed in another way."""
    try:
        header = jwt.get_unverified_header(token)
    except _UNREADABLE:
        return None
    return header["kid"] if header.get("alg") == _ALGORITHM and isinstance(header.get("kid"), str) else None


def _claims(token: str, key: jwt.PyJWK, audience: str) -> dict[str, Any] | None:
    """What it says, if the key, the issuer and the audience are right. Its times are for us to judge, by the clock we are given."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=audience,
            issuer=_ISSUERS,
            options={"require": ["exp", "iat", "aud", "iss"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except _UNREADABLE:
        return None


def _is_of(claims: Mapping[str, Any], service_account: str) -> bool:
    return bool(service_account) and claims.get("email") == service_account and claims.get("email_verified") is True


def _is_valid(claims: Mapping[str, Any], now: datetime) -> bool:
    since, until = claims["iat"], claims["exp"]
    if not isinstance(since, int | float) or not isinstance(until, int | float):
        return False
    return since <= (now + _LEEWAY).timestamp() and (now - _LEEWAY).timestamp() < until


async def _fetched(http: aiohttp.ClientSession, url: str) -> Mapping[str, jwt.PyJWK]:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=_SECONDS), allow_redirects=False) as answer:
            if answer.status != 200:
                raise Unanswered(f"the keys of tokens cannot be had: {url} answered {answer.status}")
            keys = _usable(from_json(await _read(answer.content)))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
        raise Unanswered(f"the keys of tokens cannot be had from {url}: {str(failed) or type(failed).__name__}") from failed
    if not keys:
        raise Unanswered(f"the keys of tokens cannot be had: {url} holds none")
    return keys


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _MOST_READ:
            raise ValueError(f"it sends more than {_MOST_READ} bytes")
    return bytes(body)


def _usable(said: Any) -> Mapping[str, jwt.PyJWK]:
    """The keys of a JWKS, by name; those for something else are left out."""
    keys = said.get("keys") if isinstance(said, dict) else None
    signing = [key for key in keys if isinstance(key, dict) and _is_for_signing(key)] if isinstance(keys, list) else []
    return {key["kid"]: made for key in signing if (made := _made(key)) is not None}


def _is_for_signing(key: Mapping[str, Any]) -> bool:
    return (
        key.get("kty") == "RSA"
        and key.get("alg", _ALGORITHM) == _ALGORITHM
        and key.get("use", "sig") == "sig"
        and isinstance(key.get("kid"), str)
    )


def _made(key: dict[str, Any]) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(key, _ALGORITHM)
    except _UNREADABLE:
        return None


def _noted(asked: asyncio.Task[None]) -> None:
    """Those who wait are told; when nobody waits any more, nobody misses it."""
    if not asked.cancelled():
        asked.exception()
