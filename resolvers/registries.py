"""The registries that operators let Rollwave ask, and asking them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from domain import expected
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.errors import BadInput, Unavailable, about
from domain.images import Image
from domain.registries import Credentials, Registry, Unanswered
from registries.oci.client import Client
from resolvers.context import Context
from storage import polling, pushes, registries
from storage.connection import Connection

_LONGEST_HOST = 200
_LONGEST_PASSWORD = 16_384  # a token of Google's is a JSON file of 2,400 characters
_Answer = TypeVar("_Answer")


class NotNamed(Unanswered):
    """No operator named this registry, so nobody asks it."""


async def save(
    ctx: Context, host: str, username: str | None, password: str | None, *, plain_http: bool, expected_version: int | None = None
) -> tuple[Registry, str | None]:
    """Let a registry be asked, with these credentials or with none; raises BadInput.

    The version is 0 where it may not be asked yet. Raises StaleVersion.
    """
    async with ctx.changing(Action.SET_REGISTRY) as change:
        with about("host"):
            host, conn, now = checked_host(host), change.conn, change.now
        _check(username, password)
        sealed = None if password is None else ctx.vault.seal(password)
        expected.check(f"registry {host}", await registries.version(conn, host), expected_version)
        saved = await registries.save(conn, host, username, sealed, plain_http, now)
        await _wake(conn, host, now)
        change.of(_subject(host), username=username, plain_http=plain_http)
    return saved, username


def _check(username: str | None, password: str | None) -> None:
    if (username is None) != (password is None):
        raise BadInput("username, password: give both or none")
    if username is not None and (not username or ":" in username or len(username) > 255):
        raise BadInput("username: 1 to 255 characters, without “:”")
    if password is not None and not 0 < len(password) <= _LONGEST_PASSWORD:
        raise BadInput(f"password: 1 to {_LONGEST_PASSWORD} characters")


async def _wake(conn: Connection, host: str, now: datetime) -> None:
    """What waits for this registry goes on at once."""
    undecided = await pushes.undecided(conn)
    await pushes.wake(conn, [repository for repository in undecided if repository.partition("/")[0] == host], now)
    await polling.wake(conn, host, now)


async def delete(ctx: Context, host: str, *, expected_version: int | None = None) -> bool:
    """Let a registry be asked no more; false if it was not. Raises StaleVersion."""
    async with ctx.changing(Action.REMOVE_REGISTRY) as change:
        with about("host"):
            host = checked_host(host)
        expected.check(f"registry {host}", await registries.version(change.conn, host), expected_version)
        was_there = await registries.delete(change.conn, host)
        if was_there:
            change.of(_subject(host))
    return was_there


async def known(ctx: Context) -> list[tuple[Registry, str | None]]:
    """The registries that may be asked, each with the name it is asked under."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await registries.all_of_them(conn)


async def ask(ctx: Context, repository: str, question: Callable[[Client, Registry], Awaitable[_Answer]]) -> _Answer:
    """Ask the registry of a repository; raises Unanswered, also when nobody may ask it. No connection to the database is held meanwhile."""
    registry = await _named(ctx, repository.partition("/")[0])
    if ctx.registries is None or registry is None:
        host = repository.partition("/")[0]
        raise NotNamed(f"{host} is not among the registries that may be asked (setRegistry)")
    return await question(ctx.registries, registry)


async def _named(ctx: Context, host: str) -> Registry | None:
    async with ctx.db.reading() as conn:
        found = await registries.one(conn, host)
    if found is None:
        return None
    registry, username, password = found
    return replace(registry, credentials=_credentials(ctx, host, username, password))


def _credentials(ctx: Context, host: str, username: str | None, password: bytes | None) -> Credentials | None:
    if username is None or password is None:
        return None
    try:
        return Credentials(username, ctx.vault.open(password))
    except Unavailable as unreadable:
        raise Unanswered(f"{host} cannot be asked: {unreadable}") from unreadable


def checked_host(text: str) -> str:
    """A registry's host as it stands in normalised image names; raises BadInput."""
    port = text.rpartition(":")[2]
    if len(text) > _LONGEST_HOST or (port.isdecimal() and ":" in text and not 0 < int(port) < 65536):
        raise BadInput(f"host: {_LONGEST_HOST} characters at most, and a port from 1 to 65535")
    return Image.at(text, "library/any").repository.partition("/")[0]


def _subject(host: str) -> Subject:
    return Subject.of(SubjectType.REGISTRY, host)


async def many(ctx: Context, hosts: Sequence[str]) -> dict[str, tuple[Registry, str | None]]:
    """Those of these registries that may be asked, each with the name it is asked under."""
    return {registry.host: (registry, username) for registry, username in await known(ctx) if registry.host in hosts}
