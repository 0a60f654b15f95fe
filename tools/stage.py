"""Where the story plays: a server in this process, on a database of its own."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import asyncpg

from resolvers import tokens
from server.process import running
from server.settings import Settings


class CannotPlay(Exception):
    """Why the story cannot begin, as a sentence for the person who started it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that answers, and what opens its doors."""

    url: str
    token: str
    secret: str


def settings(port: int | None) -> Settings:
    """The environment's settings, with this port if there is one, a fresh secret and GraphiQL; raises CannotPlay if the port is taken."""
    read = replace(Settings.read(), webhook_secret=secrets.token_urlsafe(24), graphiql=True)
    read = replace(read, port=read.port if port is None else port)
    _must_be_free(read.host, read.port)
    return read


@asynccontextmanager
async def playing(chosen: Settings, cluster: str) -> AsyncIterator[Stage]:
    """A fresh server for as long as the block runs; what an earlier story left in its database is gone."""
    assert chosen.webhook_secret is not None, "settings() made one"
    async with running(chosen, await _fresh_database(cluster, f"rollwave_demo_{chosen.port}")) as server:
        yield Stage(server.url, await tokens.issue(server.db, "the demo"), chosen.webhook_secret)


def _must_be_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will: a port that is only cooling down is free
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotPlay(f"port {port} on {host} cannot be used ({error.strerror}); choose another one with ROLLWAVE_PORT") from error


async def _fresh_database(cluster: str, name: str) -> str:
    try:
        conn = await asyncpg.connect(cluster, database="postgres")
        try:
            await conn.execute(f'drop database if exists "{name}" with (force)')
            await conn.execute(f'create database "{name}"')
        finally:
            await conn.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise CannotPlay(f"the demo's database {name} cannot be made: {error}") from error
    return urlsplit(cluster)._replace(path=f"/{name}").geturl()
