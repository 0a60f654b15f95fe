"""Writing a move: the row, its history, and the events that tell of it, in one transaction."""

from typing import Any

from domain.actors import Actor
from domain.events import EventType
from domain.rollouts import Move
from domain.statuses import DeviceStatus
from storage import counting, events, rollouts
from storage.connection import Connection


async def save(conn: Connection, move: Move, actor: Actor) -> None:
    """Make a move true; raises rollouts.Moved, and writes nothing, if somebody moved the rollout in between."""
    await rollouts.save(conn, move, actor.name)
    if move.event is EventType.ROLLBACK_STARTED:
        await rollouts.block_release(conn, move.result, actor.name)
    await _tell(conn, move, actor)


async def _tell(conn: Connection, move: Move, actor: Actor) -> None:
    new = move.result
    told: dict[str, Any] = {"status": new.status, "reason": new.reason, "actor": actor.name, **await _details(conn, move)}
    # Whoever joins a device holds the device's row, and so a place in the order of events, before it waits for the rollout:
    # what moved meanwhile is told after it, under a lower revision.
    revision = None if move.event is EventType.ROLLOUT_JOINED else new.revision
    await events.record(conn, move.event, new.moved_at, rollout=new.id, revision=revision, **told)
    if move.event is EventType.BATCH_COMPLETED and told["devices"].get(DeviceStatus.HEALTHY):
        await events.record(conn, EventType.HEALTH_CHECK_PASSED, new.moved_at, rollout=new.id, revision=new.revision, **told)


async def _details(conn: Connection, move: Move) -> dict[str, Any]:
    before, new = move.before, move.result
    batch = {"batch_number": new.stage + 1, "total_batches": len(new.stages)}
    match move.event:
        case EventType.ROLLOUT_ENROLLED | EventType.ROLLOUT_JOINED:
            return {"total_devices": new.size, "total_batches": len(new.stages)}
        case EventType.BATCH_STARTED | EventType.BATCH_WIDENED:
            # The ranks say which devices: each one's image.device_scheduled is derived from them when somebody reads it.
            return {**batch, "first_rank": before.frontier, "end_rank": new.frontier, "image": str(new.image)}
        case EventType.BATCH_COMPLETED | EventType.ROLLOUT_COMPLETED | EventType.ROLLOUT_ROLLED_BACK:
            counts = await counting.by_status(conn, new.id, new.moved_at)
            return {**batch, "devices": {status.value: counts.get(status, 0) for status in DeviceStatus if counts.get(status)}}
        case EventType.WINDOW_OPENED | EventType.WINDOW_CLOSED:
            return {"open_zones": [zone.name for zone in new.zones if zone.is_open]}
        case EventType.ROLLOUT_APPROVED | EventType.ROLLOUT_REPLANNED:
            return {"approved_by": list(new.approved_by), "checksum": new.checksum}
        case _:
            return {}
