"""Tokens: what they let their holders do, and that they stop doing so at once."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.actors import NOBODY, Actor, Permission, Role
from domain.errors import BadInput, Forbidden, NotFound, Unauthenticated
from domain.ids import PolicyId, TokenId
from domain.times import shown
from domain.tokens import LONGEST_LIFE, Wanted
from resolvers import policies, tokens
from resolvers.context import Context
from storage.database import Database
from tests.api import everything
from tests.clock import MovableClock
from tests.factories import a_policy, at
from tests.fuses import Fuse, an_instance
from tools.snapshots import ROOT


@pytest.fixture
def administrator(operator: Context) -> Context:
    """Somebody who hands out tokens."""
    return replace(operator, actor=Actor.administrator("ada"))


async def refusal(db: Database, token: str) -> str:
    """Why a token lets nobody in."""
    with pytest.raises(Unauthenticated) as refused:
        (await tokens.actor(db, token)).must(Permission.READ)
    return str(refused.value)


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.READER, {Permission.READ}),
        (Role.OPERATOR, {Permission.READ, Permission.OPERATE}),
        (Role.ADMINISTRATOR, {Permission.READ, Permission.OPERATE, Permission.ADMINISTER}),
    ],
)
async def test_a_token_lets_its_holder_do_what_its_role_may(administrator: Context, role: Role, may: set[Permission]) -> None:
    made, token = await tokens.create(administrator, Wanted("grace", role))

    assert token is not None
    actor = await tokens.actor(administrator.db, token)

    assert (actor.name, actor.permissions, actor.token, actor.is_known) == ("grace", frozenset(may), made.id, True)
    assert (made.created_by, made.expires_at, made.revoked_at, made.version) == ("ada", None, None, 1)


async def test_a_reader_reads_and_changes_nothing(administrator: Context) -> None:
    _, token = await tokens.create(administrator, Wanted("rita", Role.READER))
    reader = replace(administrator, actor=await tokens.actor(administrator.db, token))

    assert await policies.page(reader, PolicyId(0), 10) == []
    before = await everything(reader.db)
    for refused in (a_policy(reader), tokens.page(reader, TokenId(0), 10)):
        with pytest.raises(Forbidden, match="rita may not"):
            await refused
    assert await everything(reader.db) == before


async def test_a_token_is_told_once_and_what_is_kept_of_it_does_not_tell(administrator: Context) -> None:
    _, token = await tokens.create(administrator, Wanted(" grace "))

    assert token is not None
    assert token.startswith("rollwave_token_")
    assert token not in str(await everything(administrator.db))
    assert [(one.name, one.role) for one in await tokens.page(administrator, TokenId(0), 10)] == [("grace", Role.OPERATOR)]
    assert await tokens.count(administrator) == 1


async def test_a_token_that_makes_no_sense_is_refused_by_field_and_nothing_changes(administrator: Context) -> None:
    now = await at(administrator.db)
    before = await everything(administrator.db)
    for wanted, field in [
        (Wanted(""), "name"), (Wanted("  "), "name"), (Wanted("n" * 256), "name"), (Wanted("a\nb"), "name"),
        (Wanted("x", expires_at=now), "expiresAt"), (Wanted("x", expires_at=datetime(2100, 1, 1)), "expiresAt"),  # noqa: DTZ001
        (Wanted("x", expires_at=now + LONGEST_LIFE + timedelta(days=1)), "expiresAt"),
        (Wanted("x", expires_at=datetime(2000, 1, 1, tzinfo=UTC)), "expiresAt"),
    ]:  # fmt: skip
        with pytest.raises(BadInput) as refused:
            await tokens.create(administrator, wanted)
        assert [problem.path for problem in refused.value.problems] == [(field,)]
    with pytest.raises(NotFound, match="there is no token 9"):
        await tokens.revoke(administrator, TokenId(9))
    assert await everything(administrator.db) == before


async def test_a_token_that_is_revoked_is_of_no_use_from_then_on_in_any_process(administrator: Context, database_url: str) -> None:
    made, token = await tokens.create(administrator, Wanted("grace"))
    assert token is not None
    async with Database.connect(database_url) as elsewhere:
        assert (await tokens.actor(elsewhere, token)).is_known

        revoked = await tokens.revoke(administrator, made.id)

        assert revoked.revoked_at is not None
        assert await refusal(elsewhere, token) == f"the token was revoked on {shown(revoked.revoked_at)}: ask for another one"


async def test_revoking_a_token_twice_is_revoking_it_once(administrator: Context, clock: MovableClock) -> None:
    made, _ = await tokens.create(administrator, Wanted("grace"))
    first = await tokens.revoke(administrator, made.id)
    clock.advance(days=1)
    before = await everything(administrator.db)

    assert await tokens.revoke(administrator, made.id) == first == await tokens.one(administrator, made.id)
    assert await everything(administrator.db) == before


async def test_until_the_second_it_expires_a_token_lets_its_holder_in(administrator: Context, clock: MovableClock) -> None:
    clock.standing = await at(administrator.db)
    expires = clock.standing + timedelta(hours=1)
    _, token = await tokens.create(administrator, Wanted("grace", expires_at=expires))
    assert token is not None

    clock.advance(seconds=3599)
    assert (await tokens.actor(administrator.db, token)).is_known
    clock.advance(seconds=1)
    assert await refusal(administrator.db, token) == f"the token expired on {shown(expires)}: ask for another one"


async def test_who_guesses_learns_nothing_from_what_is_refused(administrator: Context) -> None:
    made, token = await tokens.create(administrator, Wanted("grace"))
    assert token is not None
    await tokens.revoke(administrator, made.id)

    guessed = {await refusal(administrator.db, wrong) for wrong in (token[:-1], token + "x", "rollwave_token_", "")}

    assert guessed == {"the token is unknown: send one of this server's as “Authorization: Bearer …”"}
    assert await tokens.actor(administrator.db, None) is NOBODY


async def test_also_the_last_administrator_can_be_revoked_and_the_machine_makes_another(administrator: Context) -> None:
    made, token = await tokens.create(administrator, Wanted("ada", Role.ADMINISTRATOR))
    herself = replace(administrator, actor=await tokens.actor(administrator.db, token))

    await tokens.revoke(herself, made.id)

    again = await tokens.actor(administrator.db, await tokens.issue(administrator.db, "ada"))
    assert again.may(Permission.ADMINISTER)


# When it was last used


async def last_used(ctx: Context) -> list[datetime | None]:
    return [token.last_used_at for token in await tokens.page(ctx, TokenId(0), 10)]


async def test_a_use_is_noted_once_a_minute_and_costs_nothing_in_between(
    administrator: Context, database_url: str, clock: MovableClock
) -> None:
    token = await tokens.issue(administrator.db, "ada")
    async with an_instance(database_url, clock) as db:
        await tokens.actor(db, token)
        [first] = await last_used(administrator)
        Fuse.statements = 0

        for _ in range(10):
            await tokens.actor(db, token)

        assert Fuse.statements == 10, "one statement for each request"
        assert await last_used(administrator) == [first]
        async with db.transaction() as conn:
            await conn.execute("update tokens set last_used_at = now() - interval '61 s'")
        await tokens.actor(db, token)
        [second] = await last_used(administrator)
        assert first is not None
        assert second is not None
        assert second > first


async def test_who_uses_a_token_waits_for_nobody_who_changes_it(administrator: Context) -> None:
    token = await tokens.issue(administrator.db, "ada")

    async with administrator.db.transaction() as conn, asyncio.timeout(5):
        await conn.execute("select from tokens for update")
        assert (await tokens.actor(administrator.db, token)).is_known

    assert await last_used(administrator) == [None]


# The command line


async def test_the_command_line_makes_an_administrator_unless_told_otherwise(database_url: str, db: Database) -> None:
    first = await asyncio.to_thread(_command, database_url, "ada")
    second = await asyncio.to_thread(_command, database_url, "ci", "--role", "reader", "--expires-in-days", "30")

    ada, ci = [await tokens.actor(db, made.stdout.strip()) for made in (first, second)]

    assert (ada.name, ada.permissions) == ("ada", Role.ADMINISTRATOR.permissions)
    assert (ci.name, ci.permissions) == ("ci", Role.READER.permissions)
    async with db.reading() as conn:
        lives = await conn.fetch("select expires_at - created_at as life, created_by from tokens order by id")
        told = await conn.fetch("select actor, action, subject_key, details ->> 'name' as name from audit order by id")
    assert [tuple(row) for row in lives] == [(None, "command line"), (timedelta(days=30), "command line")]
    assert [tuple(row) for row in told] == [
        ("command line", "CREATE_TOKEN", "1", "ada"), ("command line", "CREATE_TOKEN", "2", "ci"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ada", "--role", "king"], "invalid choice: 'king'"),
        (["ada", "--expires-in-days", "0"], "a number of days from 1 to 36525"),
        (["ada", "--expires-in-days", "x"], "a number of days from 1 to 36525"),
        ([" "], "name: 1 to 255 characters that can be shown"),
    ],
)
async def test_the_command_line_says_what_is_wrong(database_url: str, arguments: list[str], says: str) -> None:
    ended = await asyncio.to_thread(_command, database_url, *arguments)

    assert (ended.returncode, says in ended.stderr) == (2, True), ended.stderr


def _command(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", "token", *arguments]
    environ = {"DATABASE_URL": url}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=30)
