"""Devices, policies and rollouts as a test needs them; each takes only what the test is about."""

from datetime import datetime, timedelta
from typing import Any

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.policies import Policy
from domain.rollouts import Rollout
from monitor.reconciler import reconcile
from resolvers import policies, registries
from resolvers.context import Context
from storage import members, rollouts
from storage.connection import Connection
from storage.database import Database
from tests.registry import LittleRegistry
from tools.crowd import crowd
from tools.pushing import pushed


async def a_policy(operator: Context, **settings: Any) -> Policy:
    """A policy for nginx that goes about it as fast as it can."""
    quick: dict[str, object] = {
        "image_pattern": "nginx*",
        "update_strategy": "staged",
        "batch_delay_minutes": 0,
        "health_check_enabled": False,
        "min_outcomes": 1,
    }
    return await policies.create(operator, {**quick, **settings})


async def push(operator: Context, image: str) -> RolloutId:
    """A registry says an image was pushed, and a rollout starts."""
    [decision] = await pushed(operator, image)
    assert decision.started, decision.decision
    assert decision.rollout_id is not None
    return decision.rollout_id


async def a_rollout(operator: Context, size: int = 10, image: str = "nginx:2.0.0", **settings: Any) -> Rollout:
    """A rollout whose first batch is open."""
    await crowd(operator.db, size)
    await a_policy(operator, **settings)
    rollout = await push(operator, image)
    await reconcile(operator.db)
    return await read(operator.db, rollout)


async def name(operator: Context, little: LittleRegistry) -> None:
    """Let a registry be asked."""
    await registries.save(operator, little.host, None, None, plain_http=True)


async def read(db: Database, rollout: RolloutId) -> Rollout:
    """The rollout as it is now."""
    async with db.reading() as conn:
        found = await rollouts.one(conn, rollout)
    assert found is not None
    return found


async def everybody_says(db: Database, rollout: RolloutId, outcome: Outcome) -> None:
    """Every device that is offered the image takes it and shows the same."""
    async with db.transaction() as conn:
        now = await db.now(conn)
        for device in await offered(conn, rollout):
            await members.report(conn, rollout, device, outcome, None, now)


async def everybody_returns(db: Database, rollout: RolloutId) -> None:
    """Every device that had the image taken back reports its previous one."""
    async with db.transaction() as conn:
        now = await db.now(conn)
        for row in await conn.fetch(
            """
            select device_id from members m join rollouts r on r.id = m.rollout_id
             where r.id = $1 and is_taken_back(m, r) and live
            """,
            rollout,
        ):
            await members.returned(conn, rollout, row["device_id"], True, now)


async def offered(conn: Connection, rollout: RolloutId) -> list[DeviceId]:
    """The devices that are offered the image now, in the order of their ranks."""
    rows = await conn.fetch(
        """
        select device_id from members m join rollouts r on r.id = m.rollout_id
         where r.id = $1 and is_offered(m, r) and live order by rank
        """,
        rollout,
    )
    return [row["device_id"] for row in rows]


async def polled(db: Database, devices: list[DeviceId]) -> None:
    """Devices take what they are offered."""
    async with db.transaction() as conn:
        await members.taken(conn, devices, await db.now(conn))


async def finished(db: Database, rollout: RolloutId, outcome: Outcome = Outcome.RUNNING) -> Rollout:
    """Every device says the same until the rollout ends."""
    for _ in range(20):
        await everybody_says(db, rollout, outcome)
        await everybody_returns(db, rollout)
        await reconcile(db)
        if (now := await read(db, rollout)).status.is_final:
            return now
    raise AssertionError(f"still {now.status}")


def minutes(count: float) -> timedelta:
    """A while."""
    return timedelta(minutes=count)


async def at(db: Database) -> datetime:
    """What time it is."""
    async with db.reading() as conn:
        return await db.now(conn)
