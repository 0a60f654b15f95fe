"""Devices in the field: they poll and report through the use cases, and notice if what they are told makes no sense."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from domain.devices import Report
from domain.ids import DeviceId, RolloutId
from domain.rollouts import Rollout
from domain.statuses import DeviceStatus, Status
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import devices, rollouts
from resolvers.context import Context
from storage import rollouts as stored
from storage.connection import Connection
from tests import talking
from tests.clock import MovableClock
from tests.factories import offered, read
from tools.crowd import crowd


@dataclass
class Field:
    """The devices of a test, and what each was told last."""

    operator: Context
    clock: MovableClock
    told: dict[DeviceId, tuple[str, int]] = field(default_factory=dict)
    uuids: dict[DeviceId, str] = field(default_factory=dict)

    async def until(self, moment: str) -> None:
        """Let time pass until then, UTC, all at once: nothing happens meanwhile."""
        async with self.operator.db.reading() as conn:
            ahead = datetime.fromisoformat(moment).replace(tzinfo=UTC) - await self.operator.db.now(conn)
        assert ahead.total_seconds() >= 0, "the clock cannot be turned back"
        self.clock.ahead += ahead

    async def later(self, **by: float) -> None:
        """Let time pass, and the engine do what follows."""
        self.clock.advance(**by)
        await reconcile(self.operator.db)
        await tidy(self.operator.db)

    async def devices(self, count: int, image: str = "nginx:1.0.0", *, awake: bool = True, **labels: Any) -> list[DeviceId]:
        """Devices with these labels."""
        new = await crowd(self.operator.db, count, image, awake=awake)
        if labels:
            async with self.operator.db.transaction() as conn:
                await conn.execute("update devices set labels = $2 where id = any ($1)", new, labels)
        return new

    async def uuid(self, device: DeviceId) -> str:
        """What a device calls itself."""
        if device not in self.uuids:
            found = await devices.by_id(self.operator, device)
            assert found is not None
            self.uuids[device] = found.uuid
        return self.uuids[device]

    async def polls(self, device: DeviceId) -> str:
        """A device asks what to run: its version never falls, and rises with every change."""
        target = await talking.poll(self.operator, device)
        image, version = str(target.apps["1001"]["services"][0]["imageName"]), target.version
        before, least = self.told.get(device, (image, 0))
        assert version >= least, f"device {device} was told version {version} after {least}"
        assert version > least or image == before, f"device {device} is told {image} instead of {before} at the same version"
        self.told[device] = image, version
        return image

    async def says(self, device: DeviceId, image: str, status: str = "running", **more: Any) -> None:
        """A device reports what it runs."""
        service = {"serviceName": "web", "imageName": image, "status": status, **more}
        apps = {"1001": {"appId": 1001, "services": [service]}}
        await talking.report(self.operator, device, await self.uuid(device), Report(apps, None))

    async def fails(self, device: DeviceId, image: str = "nginx:2.0.0", error: str | None = None) -> None:
        """A device polls and reports that it cannot run the image, because of this error."""
        await self.polls(device)
        await self.says(device, image, "exited", **({"error": {"type": error, "message": "no"}} if error else {}))

    async def obey(self, some: Iterable[DeviceId]) -> None:
        """Devices poll, and report that what they are told runs."""
        for device in some:
            await self.says(device, await self.polls(device))

    async def offered(self, rollout: RolloutId) -> list[DeviceId]:
        """Who is offered the image now, in the order of ranks."""
        async with self.operator.db.reading() as conn:
            return await offered(conn, rollout)

    async def ranked(self, rollout: RolloutId) -> list[DeviceId]:
        """Every member, in the order of ranks."""
        return [member.device_id for member in await rollouts.devices(self.operator, rollout, -1, 10_000)]

    async def statuses(self, rollout: RolloutId) -> list[DeviceStatus]:
        """Where every member is, in the order of ranks."""
        return [member.status for member in await rollouts.devices(self.operator, rollout, -1, 10_000)]

    async def read(self, rollout: RolloutId) -> Rollout:
        """The rollout as it is now."""
        return await read(self.operator.db, rollout)

    async def histories_give_the_rows(self) -> None:
        """What every rollout is follows from what its moves changed."""
        async with self.operator.db.reading() as conn:
            for row in await conn.fetch(
                "select id from rollouts where not exists (select from moves where rollout_id = id and changes is null)"
            ):
                await _history_gives_the_row(conn, row["id"])


async def _history_gives_the_row(conn: Connection, rollout: RolloutId) -> None:
    now = await stored.one(conn, rollout)
    assert now is not None
    moves = await conn.fetch("select changes from moves where rollout_id = $1 order by revision", rollout)
    assert len(moves) == now.revision
    # Replanning writes the whole plan, so whatever it was at first is either what it is now or written over.
    first = replace(
        now, status=Status.ENROLLING, stages=(), canaries=(), ends=(), stage=-1, size=0, frontier=0, reached=0, zones=(), revision=0,
        frontier_at=None, paced_at=None, settled_at=None, promoted=-1, approved_by=(), failures_accepted_at=None, reason=None,
        moved_at=now.created_at, started_at=None, finished_at=None,
    )  # fmt: skip
    assert stored.folded(first, [move["changes"] for move in moves]) == now
