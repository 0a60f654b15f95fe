"""Everything that the database holds at one moment, read whole."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from domain.health import ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.rollouts import Rollout, RolloutFilter
from storage import rollouts
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """A device's place in a rollout, as the row has it; of a rollout of several images one for each, the first counts."""

    rollout_id: RolloutId
    device_id: DeviceId
    rank: int
    part: int
    repository: str
    image: str | None
    live: bool
    from_image: str | None
    taken_at: datetime | None
    outcome: str | None
    outcome_at: datetime | None
    returned_at: datetime | None
    skipped_at: datetime | None
    zone: str | None
    lane: str | None
    progress_at: datetime | None
    withdrawn_at: datetime | None
    retry_at: datetime | None
    retries: int
    deferred_at: datetime | None
    offered_at: datetime | None


PLACE = ", ".join(column.name for column in fields(Place))


@dataclass(frozen=True, slots=True)
class Past:
    """A move as history keeps it."""

    at: datetime
    revision: int
    event: str
    status: str
    stage: int
    frontier: int
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What the views say that a device should run."""

    version: int
    images: dict[ServiceKey, str]


@dataclass(frozen=True, slots=True)
class World:
    """Everything at one moment."""

    at: datetime
    rollouts: dict[RolloutId, Rollout]
    places: dict[RolloutId, list[Place]]
    moves: dict[RolloutId, list[Past]]
    base: dict[DeviceId, dict[ServiceKey, Image]]
    versions: dict[DeviceId, int]
    told: dict[DeviceId, Told]
    candidates: dict[tuple[DeviceId, ServiceKey], int]
    """How many rollouts, at least none, say what a service should run: the view's rows for it."""
    aside: dict[DeviceId, datetime | None]
    """Who is set aside, and until when."""

    @property
    def everywhere(self) -> Iterator[tuple[Place, Rollout]]:
        """Every place, with its rollout."""
        return ((place, self.rollouts[number]) for number, places in self.places.items() for place in places)

    def of_device(self, device: DeviceId) -> Iterator[tuple[Place, Rollout]]:
        """A device's places, with their rollouts."""
        return ((place, rollout) for place, rollout in self.everywhere if place.device_id == device)

    def counted_in(self, rollout: RolloutId) -> list[Place]:
        """One place for each device."""
        return [place for place in self.places[rollout] if place.part == 0]

    def is_aside(self, device: DeviceId) -> bool:
        """Whether it is to join no rollout now."""
        return device in self.aside and ((until := self.aside[device]) is None or until > self.at)


async def look(conn: Connection, now: datetime) -> World:
    """Read everything."""
    found = {rollout.id: rollout for rollout in await rollouts.page(conn, RolloutId(2**62), 1000, RolloutFilter())}
    places: dict[RolloutId, list[Place]] = {number: [] for number in sorted(found)}
    for row in await conn.fetch(f"select {PLACE} from members order by rollout_id, rank, part"):
        places[row["rollout_id"]].append(Place(**row))
    moves: dict[RolloutId, list[Past]] = {number: [] for number in found}
    for number, *past in await conn.fetch(
        "select rollout_id, at, revision, event, status, stage, frontier, changes from moves order by rollout_id, revision"
    ):
        moves[number].append(Past(*past))
    base: dict[DeviceId, dict[ServiceKey, Image]] = defaultdict(dict)
    for device, app, service, image in await conn.fetch("select device_id, app, service, image from services"):
        base[device][app, service] = Image.parse(image)
    told = {
        device: Told(version, {(app, service): image for app, service, image in images})
        for device, version, images in await conn.fetch("select device_id, version, images from device_target_state")
    }
    candidates = {
        (device, (app, service)): count
        for device, app, service, count in await conn.fetch(
            "select device_id, app, service, count(*) from effective_services group by 1, 2, 3"
        )
    }
    versions = {row["device_id"]: row["version"] for row in await conn.fetch("select device_id, version from targets")}
    aside = {row["id"]: row["aside_until"] for row in await conn.fetch("select id, aside_until from devices where aside is not null")}
    return World(now, found, places, moves, dict(base), versions, told, candidates, aside)
