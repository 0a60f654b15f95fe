"""rollwave login, rollwave logout."""

import asyncio
import os
import sys

import click

from rollwave import access
from rollwave.access import Access
from rollwave.commands.consent import expect_somebody
from rollwave.connection import Rollwave, server
from rollwave.output import say


@click.command()
@click.option("--url", help="The server's address; it is asked for otherwise.")
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin instead of asking for it.")
def login(url: str | None, token_stdin: bool) -> None:
    """Check an address and a token, and keep them for the commands to come.

    They are kept in your own configuration directory, where nobody else can read them. In CI set ROLLWAVE_URL and ROLLWAVE_TOKEN instead.
    """
    url = _address(url or _asked_address())
    token = _piped_token() if token_stdin else _asked_token()
    asyncio.run(_check(url, token))
    say(f"logged in at {url}; kept in {access.keep(Access(url=url, token=token))}")


@click.command()
def logout() -> None:
    """Forget the address and the token. The token itself stays valid until somebody revokes it."""
    say("logged out" if access.forget() else "nobody was logged in")


def _asked_address() -> str:
    expect_somebody("login needs --url")
    return str(click.prompt("Address of the server", default=os.environ.get("ROLLWAVE_URL"), err=True))


def _piped_token() -> str:
    token = sys.stdin.readline().strip()
    if not token:
        raise click.UsageError("there is no token on stdin")
    return token


def _asked_token() -> str:
    expect_somebody("login needs --token-stdin, and the token on stdin")
    return str(click.prompt("Token", hide_input=True, err=True))


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"the address must begin with https:// or http://, and “{url}” does not")
    return server(url)


async def _check(url: str, token: str) -> None:
    async with Rollwave(url, token) as rollwave:
        await rollwave.check()
