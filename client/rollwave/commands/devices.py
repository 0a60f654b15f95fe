"""rollwave devices: who is out there, and what they run."""

from typing import Any

import click

from rollwave.api.enums import DeviceStanding
from rollwave.api.fragments import DeviceLine
from rollwave.api.input_types import DeviceFilterInput
from rollwave.commands import options
from rollwave.commands.asking import asking
from rollwave.connection import Rollwave
from rollwave.finding import device_by
from rollwave.output import document, say, table
from rollwave.paging import collected
from rollwave.views import show_device


@click.group()
def devices() -> None:
    """See devices, and why they run what they run."""


@devices.command("list")
@click.option("--fleet", help="Only of this fleet.")
@click.option("--selector", metavar="LABELS", help="Only with such labels: site=berlin, tier in (edge, lab), !frozen")
@click.option("--online/--offline", default=None, help="Only those.")
@click.option(
    "--standing", type=click.Choice(DeviceStanding, case_sensitive=False), help="Only those that may take part, wait, or are revoked."
)
@click.option("--runs", metavar="IMAGE", help="Only those that are told to run it: nginx, nginx:1.27, nginx@sha256:…")
@click.option("--search", metavar="TEXT", help="Only with this in the name, or at the beginning of the uuid.")
@options.limit
@options.as_json
@asking
async def every(rollwave: Rollwave, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List devices in the order they registered."""
    having = DeviceFilterInput(**wanted)
    rows = await collected(lambda first, after: rollwave.devices(first=first, after=after, filter_=having), limit)
    document(rows) if as_json else table([_row(device) for device in rows])


@devices.command()
@click.argument("device", metavar="UUID")
@options.as_json
@asking
async def show(rollwave: Rollwave, device: str, as_json: bool) -> None:
    """Show one device: what it should run, what it said it runs, and where they differ."""
    one = await device_by(rollwave, device)
    document(one) if as_json else show_device(one)


@devices.command()
@click.argument("device", metavar="UUID")
@options.as_json
@asking
async def explain(rollwave: Rollwave, device: str, as_json: bool) -> None:
    """Say why a device is told to run what it is told, and what would change that."""
    why = (await device_by(rollwave, device)).explain
    document(why) if as_json else say("\n".join(why.sentences))


def _row(device: DeviceLine) -> dict[str, object]:
    return {
        "UUID": device.uuid,
        "NAME": device.name,
        "FLEET": device.fleet and device.fleet.name,
        "ONLINE": device.online,
        "IN SYNC": device.in_sync,
        "STANDING": device.aside.kind if device.aside else device.standing,
        "LAST SEEN": device.last_seen_at,
        "LABELS": device.labels,
    }
