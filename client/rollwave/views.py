"""One thing, as people are shown it."""

from collections.abc import Mapping
from typing import Any

from rollwave.api.device import DeviceDevice
from rollwave.api.policy import PolicyPolicy
from rollwave.api.preview_rollout import PreviewRolloutPreviewRolloutRolloutPreview as Preview
from rollwave.api.rollout import RolloutRollout
from rollwave.output import complain, details, plain, say, table
from rollwave.words import counted, said, standing, words

# As many as documents/rollouts.graphql asks for.
FEW = 10


def show_rollout(rollout: RolloutRollout) -> None:
    """Where it is, why, and its batches."""
    details({
        "rollout": rollout.number,
        "image": [image.reference for image in rollout.images],
        "policy": rollout.policy.number,
        "fleet": rollout.fleet and rollout.fleet.name,
        "status": standing(rollout.progress),
        "devices": counted(rollout.progress),
        "explained": rollout.explain.sentence,
        "until": rollout.explain.until,
        "came of": rollout.explain.cause,
        "approvals": f"{len(rollout.approved_by)} of {rollout.approvals_required}" if rollout.approvals_required else None,
        "approved by": rollout.approved_by,
        "checksum": rollout.checksum,
        "created": rollout.created_at,
        "started": rollout.started_at,
        "finished": rollout.finished_at,
    })  # fmt: skip
    if rollout.batches:
        table([
            {"BATCH": batch.number, "PLANNED": batch.planned_devices, "OFFERED": batch.offered_devices,
             "STARTED": batch.started_at, "COMPLETED": batch.completed_at}
            for batch in rollout.batches
        ])  # fmt: skip
    _show_failed(rollout)


def show_why(rollout: RolloutRollout) -> None:
    """What it waits for, what it came of, and who failed."""
    say(f"{rollout.explain.sentence}\n{rollout.explain.cause}")
    _show_failed(rollout)


def _show_failed(rollout: RolloutRollout) -> None:
    """The first devices that failed, and what they said; also those that were taken back since."""
    failed = [*rollout.failed.nodes, *(device for device in rollout.taken_back.nodes if device.reason)]
    if failed:
        table([
            {"FAILED": device.device.name, "UUID": device.device_uuid, "STATUS": device.status, "REASON": device.reason}
            for device in failed[:FEW]
        ])  # fmt: skip
    if (more := len(failed) - len(rollout.failed.nodes) + _failures(rollout) - FEW) > 0:
        complain(f"and {more} more")


def _failures(rollout: RolloutRollout) -> int:
    now = rollout.progress.devices
    return now.failed + now.unhealthy + now.refused + now.timed_out


def show_preview(seen: Preview) -> None:
    """What would happen, and to whom it would not."""
    details({
        "would be refused": seen.refusal,
        "image": [image.reference for image in seen.images],
        "devices": seen.total_devices,
        "batches": " + ".join(str(batch.devices) for batch in seen.batches),
        "approvals": seen.approvals_required or None,
        "checksum": seen.checksum,
        "not before": seen.not_before,
        "not after": seen.not_after,
        "likely over": seen.finish.likely,
        "at the latest": seen.finish.late,
        "going by": seen.finish.basis,
        "but": seen.finish.why_not,
        "takes over from": [f"rollout {rollout.number}" for rollout in seen.supersedes],
        "left out": [f"{left.devices} {said(left.reason)}" for left in seen.left_out],
    })  # fmt: skip
    if seen.left_out:
        table([
            {"LEFT OUT": device.name, "UUID": device.device_uuid, "BECAUSE": device.sentence}
            for left in seen.left_out for device in left.first
        ])  # fmt: skip


def show_policy(policy: PolicyPolicy) -> None:
    """All its settings."""
    details(_flat(plain(policy, "python")))


def show_device(device: DeviceDevice) -> None:
    """Who it is, what it is told to run, and where it does something else."""
    details({
        "device": device.uuid,
        "name": device.name,
        "type": device.type_,
        "fleet": device.fleet and device.fleet.name,
        "labels": device.labels,
        "standing": device.standing,
        "set aside": device.aside and _aside(device.aside.kind.value, device.aside.reason),
        "until": device.aside and device.aside.until,
        "online": device.online,
        "last seen": device.last_seen_at,
        "last report": device.current_state and device.current_state.reported_at,
        "in sync": device.in_sync,
    })  # fmt: skip
    if services := device.explain.services:
        table([
            {"APP": service.app, "SERVICE": service.service, "TOLD TO RUN": service.image, "SINCE": service.since,
             "ROLLOUT": service.rollout and service.rollout.number, "STATUS": service.status}
            for service in services
        ])  # fmt: skip
    if device.differences:
        table([
            {"APP": found.app, "SERVICE": found.service, "DIFFERS": found.kind, "WANTED": found.wanted, "RUNNING": found.running}
            for found in device.differences
        ])  # fmt: skip


def _aside(kind: str, reason: str | None) -> str:
    return words(kind) + (f" ({reason})" if reason else "")


def _flat(fields: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """Objects in it as fields of their own; what they stand in goes before their names."""
    flat = dict[str, object]()
    for name, value in fields.items():
        label = before + words(name)
        match value:
            case {"name": inner}:
                flat[label] = inner
            case dict():
                flat |= _flat(value, f"{label} ")
            case [dict(), *_]:
                flat |= {f"{label} {number}": said(_set(one)) for number, one in enumerate(value, 1)}
            case _:
                flat[label] = value
    return flat


def _set(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {words(name): value for name, value in fields.items() if value not in (None, [], False)}
