"""Every statement that reads or writes what devices should run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.health import ServiceKey
from domain.ids import DeviceId
from domain.images import Image
from domain.targets import Target, render
from storage.connection import Connection, Row


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a device: what it is based on, and what it should run now."""

    base: Image
    effective: Image


async def target(conn: Connection, device: DeviceId) -> Target:
    """What the device should run now, rollouts included: one statement, so one moment."""
    found = await many(conn, [device])
    assert device in found, "a device is registered together with its target"
    return found[device]


async def many(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, Target]:
    """What each of these devices should run now, at one moment."""
    rows = await conn.fetch("select * from device_target_state where device_id = any ($1)", devices)
    return {DeviceId(row["device_id"]): _target(row) for row in rows}


def _target(row: Row) -> Target:
    images = {(app, service): image for app, service, image in row["images"]}
    return Target(str(row["device_uuid"]), render(row["apps"], images), row["config"], row["version"], row["has_untaken_offer"])


async def repositories(conn: Connection, device: DeviceId) -> set[str]:
    """The images that the device runs now, whatever their versions."""
    return {row["repository"] for row in await conn.fetch("select repository from services where device_id = $1", device)}


async def locked_services(conn: Connection, device: DeviceId) -> dict[ServiceKey, Service]:
    """A device's services by (app, service), its places in rollouts and its target locked against any other change."""
    await conn.execute("select from members where device_id = $1 and live order by rollout_id for update", device)
    await conn.execute("select from targets where device_id = $1 for update", device)
    rows = await conn.fetch("select * from effective_services where device_id = $1", device)
    return {(row["app"], row["service"]): Service(Image.parse(row["base_image"]), Image.parse(row["image"])) for row in rows}


async def replace(
    conn: Connection,
    device: DeviceId,
    apps: dict[str, Any],
    config: dict[str, Any],
    images: dict[ServiceKey, Image],
    rise: int,
    now: datetime,
) -> None:
    """Write a new base target; its version rises by `rise`."""
    await conn.execute(
        "update targets set apps = $2, config = $3, version = version + $4, updated_at = $5 where device_id = $1",
        device, apps, config, rise, now,
    )  # fmt: skip
    await conn.execute("delete from services where device_id = $1", device)
    await conn.executemany(
        "insert into services (device_id, app, service, repository, image) values ($1, $2, $3, $4, $5)",
        [(device, app, service, image.repository, str(image)) for (app, service), image in images.items()],
    )
