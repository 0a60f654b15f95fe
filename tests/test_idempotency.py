"""Who has not heard the answer asks again under the same key, and gets what was made, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actors import Actor, Role
from domain.audit import AuditFilter
from domain.endpoints import Sender
from domain.errors import BadInput, Conflict, Forbidden, KeyReused, NotFound
from domain.ids import EndpointId, EntryId, PolicyId, ProvisioningKeyId, RolloutId, TokenId
from domain.provisioning import Wanted as WantedKey
from domain.requests import Request
from domain.tokens import Wanted as WantedToken
from monitor.janitor import tidy
from resolvers import audit, endpoints, images, policies, provisioning, rollouts, tokens
from resolvers.context import Context
from resolvers.endpoints import Wanted as WantedEndpoint
from storage.database import Database
from tests.api import everything
from tests.clock import MovableClock
from tests.factories import a_policy, at
from tests.fuses import CUT, Fuse, an_instance, no_fuse_is_left
from tools.crowd import crowd

__all__ = ["no_fuse_is_left"]
pytestmark = pytest.mark.usefixtures("no_fuse_is_left")
KEY = "deploy 4711"
NGINX = {"image_pattern": "nginx*", "update_strategy": "staged"}
Makes = Callable[[Context, str | None], Awaitable[Any]]


@pytest.fixture
async def ada(operator: Context) -> Context:
    """Somebody who may make everything, where there is a policy and what it governs."""
    ada = replace(operator, actor=Actor.administrator("ada"))
    await a_policy(ada)
    await crowd(ada.db, 3)
    return ada


async def makes_a_policy(ctx: Context, key: str | None) -> Any:
    return await policies.create(ctx, {"image_pattern": "redis*", "update_strategy": "auto"}, idempotency_key=key)


async def makes_a_rollout(ctx: Context, key: str | None) -> Any:
    return await images.create_rollout(ctx, PolicyId(1), "nginx:2.0.0", idempotency_key=key)


async def makes_a_provisioning_key(ctx: Context, key: str | None) -> Any:
    return await provisioning.create(ctx, WantedKey("hall 3", labels={"site": "north", "rack": "7"}), idempotency_key=key)


async def makes_an_endpoint(ctx: Context, key: str | None) -> Any:
    return await endpoints.create(ctx, WantedEndpoint("ci", Sender.GENERIC), idempotency_key=key)


async def makes_a_token(ctx: Context, key: str | None) -> Any:
    return await tokens.create(ctx, WantedToken("grace", Role.READER), idempotency_key=key)


ALL: list[Makes] = [makes_a_policy, makes_a_rollout, makes_a_provisioning_key, makes_an_endpoint, makes_a_token]
every = pytest.mark.parametrize("makes", ALL, ids=lambda makes: makes.__name__.removeprefix("makes_"))


def first_of(made: Any) -> Any:
    """What was made, without its secret."""
    return made[0] if isinstance(made, tuple) else made


@every
async def test_asked_again_it_is_the_same_and_its_secret_is_not_told_twice(ada: Context, makes: Makes) -> None:
    first = await makes(ada, KEY)
    before = await everything(ada.db)

    again = await makes(ada, KEY)

    assert first_of(again) == first_of(first)
    assert first[1] is not None and again[1] is None if isinstance(first, tuple) else True
    assert await everything(ada.db) == before, "nor is it on record again"


@every
async def test_asked_many_times_at_once_it_is_made_once(ada: Context, makes: Makes) -> None:
    told = await asyncio.gather(*[makes(ada, KEY) for _ in range(8)])

    assert len({first_of(made).id for made in told}) == 1
    assert [made[1] is not None for made in told if isinstance(made, tuple)].count(True) in (0, 1)
    listed = await audit.page(ada, AuditFilter(), EntryId(2**62), 10)
    assert len(listed) == 2, "that of the policy which was there, and this one"


async def test_another_request_under_the_same_key_is_refused_and_changes_nothing(ada: Context) -> None:
    await policies.create(ada, NGINX, idempotency_key=KEY)
    before = await everything(ada.db)

    for other in (
        policies.create(ada, {**NGINX, "priority": 1}, idempotency_key=KEY),
        provisioning.create(ada, WantedKey("hall"), idempotency_key=KEY),
    ):
        with pytest.raises(KeyReused, match="idempotencyKey: it was used for another request"):
            await other

    assert await everything(ada.db) == before
    assert (await policies.create(ada, dict(reversed(NGINX.items())), idempotency_key=KEY)).id == 2, "in whatever order its fields come"


async def test_a_request_that_is_too_large_is_refused_before_it_is_compared(ada: Context) -> None:
    await makes_a_provisioning_key(ada, KEY)

    for larger, words in (
        (
            provisioning.create(ada, WantedKey("hall", labels=dict.fromkeys(map(str, range(1000)), "")), idempotency_key=KEY),
            "labels must be",
        ),
        (policies.create(ada, {**NGINX, "tags": {"include": ["*"] * 1000}}, idempotency_key=KEY), "tags"),
        (
            endpoints.create(ada, WantedEndpoint("ci", Sender.GENERIC, repositories=("a",) * 1000), idempotency_key=KEY),
            "repositories: at most",
        ),
        (images.create_rollout(ada, PolicyId(1), "nginx:2", ["nginx:2"] * 1000, idempotency_key=KEY), "also: at most 20"),
    ):
        with pytest.raises(BadInput, match=words):
            await larger


async def test_without_a_key_or_under_another_it_is_made_again(ada: Context) -> None:
    made = [(await makes_a_policy(ada, key)).id for key in (None, None, "a", "b")]

    assert made == [2, 3, 4, 5]


async def test_a_key_is_its_callers_own(ada: Context) -> None:
    callers = [
        Actor.operator("ada"),
        Actor.operator("ops"),
        Actor.of("ada", Role.OPERATOR, TokenId(1)),
        Actor.of("ada", Role.OPERATOR, TokenId(2)),
    ]

    made = [(await makes_a_policy(replace(ada, actor=caller), KEY)).id for caller in callers]

    assert made == [2, 3, 4, 5]


async def test_who_may_not_make_it_is_not_told_what_was_made(ada: Context) -> None:
    await makes_a_policy(ada, KEY)

    with pytest.raises(Forbidden):
        await makes_a_policy(replace(ada, actor=Actor.of("ada", Role.READER)), KEY)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\0b"])
async def test_a_key_that_could_not_be_kept_is_refused(ada: Context, key: str) -> None:
    before = await everything(ada.db)

    with pytest.raises(BadInput, match="idempotencyKey: 1 to 255 characters") as refused:
        await makes_a_policy(ada, key)

    assert [problem.path for problem in refused.value.problems] == [("idempotencyKey",)]
    assert await everything(ada.db) == before


# What is refused


async def test_what_was_refused_leaves_the_key_free(ada: Context) -> None:
    with pytest.raises(BadInput):
        await policies.create(ada, {**NGINX, "staged_batches": 0}, idempotency_key=KEY)
    with pytest.raises(NotFound):
        await images.create_rollout(ada, PolicyId(9), "nginx:2.0.0", idempotency_key=KEY)

    assert (await policies.create(ada, NGINX, idempotency_key=KEY)).id > 1


async def test_whoever_waits_for_one_that_is_refused_goes_on_in_its_place(ada: Context) -> None:
    """Two at once: the first holds the key and is refused, and the second, who waited for it, makes it."""
    async with held(ada.db, PolicyId(1)):
        first = asyncio.create_task(images.create_rollout(ada, PolicyId(1), "redis:7", idempotency_key=KEY))
        await until_waiting(ada.db, 1)
        second = asyncio.create_task(makes_a_policy(ada, KEY))
        await until_waiting(ada.db, 2)
        assert not second.done()

    with pytest.raises(BadInput):
        await first
    assert (await second).id > 1


async def test_a_server_that_dies_before_it_is_done_leaves_the_key_free(ada: Context, database_url: str, clock: MovableClock) -> None:
    before, statements = await everything(ada.db), 0
    while True:
        statements += 1
        async with an_instance(database_url, clock) as db:
            dying = replace(ada, db=db)
            await policies.count(dying)  # the connection is there
            Fuse.left = statements
            try:
                made = await makes_a_policy(dying, KEY)
                break
            except CUT:
                Fuse.left = None
        now = await everything(ada.db)
        if now != before:
            # Cut while it was told that all is done: that is what keys are for.
            made = await makes_a_policy(ada, KEY)
            break

    Fuse.left = None
    assert statements > 5
    assert made == await makes_a_policy(ada, KEY)
    assert await policies.count(ada) == 2


# What has become of it


async def test_what_was_changed_or_taken_away_meanwhile_is_told_of_as_it_is(ada: Context) -> None:
    policy, rollout = await makes_a_policy(ada, "1"), await makes_a_rollout(ada, "2")
    (key, _), (endpoint, _), (token, _) = [await makes(ada, "3 " + makes.__name__) for makes in ALL[2:]]
    await policies.delete(ada, policy.id)
    await rollouts.request(ada, rollout.id, Request.CANCEL)
    await provisioning.revoke(ada, key.id)
    await endpoints.delete(ada, endpoint.id)
    await tokens.revoke(ada, token.id)

    again = [first_of(await makes(ada, name)) for makes, name in [
        (makes_a_policy, "1"), (makes_a_rollout, "2"), *((makes, "3 " + makes.__name__) for makes in ALL[2:]),
    ]]  # fmt: skip

    assert [one.id for one in again] == [policy.id, rollout.id, key.id, endpoint.id, token.id]
    assert [policy.id, rollout.id, key.id, endpoint.id, token.id] == [
        PolicyId(2),
        RolloutId(1),
        ProvisioningKeyId(1),
        EndpointId(1),
        TokenId(1),
    ]
    assert None not in (again[0].deleted_at, again[2].revoked_at, again[3].deleted_at, again[4].revoked_at)
    assert again[1].status.is_final


async def test_what_could_not_be_wanted_any_more_is_still_what_was_made(ada: Context, clock: MovableClock) -> None:
    wanted = WantedKey("hall 3", expires_at=await at(ada.db) + timedelta(hours=1))
    first, _ = await provisioning.create(ada, wanted, idempotency_key=KEY)
    clock.advance(hours=2)

    again, _ = await provisioning.create(ada, wanted, idempotency_key=KEY)

    assert again == first


async def test_a_key_is_kept_for_two_days_and_then_free(ada: Context, clock: MovableClock) -> None:
    first = await makes_a_policy(ada, KEY)
    clock.advance(hours=47)
    await tidy(ada.db)
    assert (await makes_a_policy(ada, KEY)).id == first.id

    clock.advance(hours=2)
    await tidy(ada.db)

    assert (await makes_a_policy(ada, KEY)).id != first.id


async def test_without_a_key_a_rollout_that_is_under_way_is_in_its_own_way(ada: Context) -> None:
    await makes_a_rollout(ada, None)

    with pytest.raises(Conflict, match="brings it already"):
        await makes_a_rollout(ada, None)


@asynccontextmanager
async def held(db: Database, policy: PolicyId) -> AsyncIterator[None]:
    """A policy that somebody else has locked."""
    async with db.transaction() as conn:
        await conn.execute("select from policies where id = $1 for update", policy)
        yield


async def until_waiting(db: Database, count: int) -> None:
    """Until so many wait for locks of others."""
    async with asyncio.timeout(10), db.reading() as conn:
        waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        while await conn.fetchval(waiting) < count:
            await asyncio.sleep(0.01)
