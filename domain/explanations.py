"""Why a device is on the image it is on: sentences about what is recorded of it, and nothing beside the record."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from domain.aside import Aside
from domain.devices import Running
from domain.health import runs
from domain.ids import RolloutId
from domain.images import Image
from domain.rollouts import Move
from domain.statuses import DeviceStatus, Status
from domain.times import shown
from domain.waits import Wait


@dataclass(frozen=True, slots=True)
class Past:
    """A rollout that the device is not in any more, and when what is told of it happened."""

    rollout_id: RolloutId
    at: datetime


@dataclass(frozen=True, slots=True)
class Back:
    """That a rollout took its image back."""

    at: datetime
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """The rollout that decides what a service is told now, and the device's place in it."""

    rollout_id: RolloutId
    image: Image
    """What it brings to the service."""
    rollout_status: Status
    rank: int
    size: int
    batch: int | None
    """From 1; None while its turn has not come."""
    status: DeviceStatus
    is_offered: bool
    is_taken_back: bool
    turn_at: datetime | None
    """When its turn came."""
    again_at: datetime | None
    """When it was offered the image apart from its turn: tried again, or awake."""
    taken_at: datetime | None
    outcome_at: datetime | None
    reason: str | None
    """What the device said of a failure."""
    retries: int
    retry_at: datetime | None
    withdrawn_at: datetime | None
    """The image was taken back from it alone."""
    returned_at: datetime | None
    awaited_check: str | None
    """Of one that runs the image and has not passed its checks from outside: running, or inconclusive."""
    is_passed_over: bool
    """Its turn came when it was silent, or could not be offered the image beside `stuck`; it is offered it later."""
    stuck: str | None
    """The device that failed and shares the label's value with it."""
    zone: str | None
    back: Back | None
    """How the image was taken back from all."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is ahead of the rollout."""

    step: Move | Wait
    """What the engine decides about it now."""
    openings: dict[str, datetime | None] = field(default_factory=dict, hash=False)
    """When the windows that are closed open next, by time zone."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one service of a device is told to run, and what is known of how it came to that."""

    app: str
    service: str
    image: Image
    base: Image
    """What it would be told without any rollout."""
    written_at: datetime
    """When an operator last wrote the device's target."""
    origin: Past | None
    """The last rollout before that brought this image, and when it offered it."""
    left: Past | None
    """The rollout that the device left since."""
    place: Place | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What the device last said of the service; None of it: its report does not name the service."""

    at: datetime
    running: Running | None


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a service is on its image, for people and for programs."""

    app: str
    service: str
    image: Image
    rollout_id: RolloutId | None
    """The rollout that decides what it is told; None: its own image."""
    status: DeviceStatus | None
    since: datetime
    until: datetime | None
    """When time alone changes something at the latest, as far as that is known."""
    sentences: tuple[str, ...]


def explain(told: Told, outlook: Outlook | None, aside: Aside | None, heard: Heard | None, shut_out: str | None = None) -> Explained:
    """Why a service is told to run what it runs: the cause, what the device said of it, and what would change it.

    `shut_out` is why the device is not even let in.
    """
    place = told.place
    opens_at = outlook.openings.get(place.zone) if outlook and place and place.zone is not None else None
    joins_none = aside is not None or shut_out is not None
    sentences = (
        *_causes(told, opens_at), *_left(told), *_aside(aside), *_shut_out(shut_out), _heard(told, heard),
        _change(told, outlook, joins_none=joins_none),
    )  # fmt: skip
    return Explained(
        app=told.app,
        service=told.service,
        image=told.image,
        rollout_id=None if place is None else place.rollout_id,
        status=None if place is None else place.status,
        since=_since(told),
        until=_until(told, outlook, opens_at, aside),
        sentences=sentences,
    )


# Why


def _causes(told: Told, opens_at: datetime | None) -> Iterator[str]:
    subject, place = f"{told.service} of app {told.app} is told to run {told.image}", told.place
    if place is None:
        yield f"{subject}, its own image: {_own(told)}"
    elif place.is_offered:
        turn = f"batch {place.batch}, whose turn came at {_at(place.turn_at)}"
        yield f"{subject}: rollout {place.rollout_id} offered it in {turn}{_again(place)}"
        yield _doing(place)
    elif place.is_taken_back:
        yield f"{subject}, its own image: {_taken_back(place)}"
        yield _returned(place)
        if place.retry_at:
            yield f"it will be offered {place.image} again at {shown(place.retry_at)}"
    else:
        yield f"{subject}, {_own_or_given(told)}"
        yield _waits(place, opens_at)


def _own(told: Told) -> str:
    if told.origin is None:
        return f"an operator last wrote its target at {shown(told.written_at)}"
    offered = f"rollout {told.origin.rollout_id}, which offered it at {shown(told.origin.at)}"
    if told.origin.at > told.written_at:
        return f"it has it from {offered}"
    return f"an operator last wrote its target at {shown(told.written_at)}; it had it before from {offered}"


def _own_or_given(told: Told) -> str:
    if told.image == told.base or told.origin is None:
        return f"its own image: {_own(told)}"
    return (
        f"which rollout {told.origin.rollout_id} offered it at {shown(told.origin.at)}; "
        f"it has not proved itself there, and its own image is {told.base} still"
    )


def _again(place: Place) -> str:
    if place.again_at is None:
        return ""
    failures = "a failure" if place.retries == 1 else f"{place.retries} failures"
    return f", and again at {shown(place.again_at)}, " + (f"after {failures}" if place.retries else "when it had woken")


def _doing(place: Place) -> str:
    """What the device has made of an image that it is offered."""
    match place.status:
        case DeviceStatus.SCHEDULED:
            return "it has not polled since"
        case DeviceStatus.UPDATING:
            return f"it took it at {_at(place.taken_at)} and has said nothing conclusive"
        case DeviceStatus.UPDATED:
            return f"it runs it since {_at(place.outcome_at)}{_CHECKS[place.awaited_check]}"
        case DeviceStatus.HEALTHY:
            return f"it runs it since {_at(place.outcome_at)}, and has proved it good"
        case DeviceStatus.FAILED | DeviceStatus.UNHEALTHY | DeviceStatus.REFUSED:
            return f"it {_did(place.status)} at {_at(place.outcome_at)}{_because(place.reason)}"
        case DeviceStatus.TIMED_OUT:
            return f"it took it at {_at(place.taken_at)} and stayed silent past the deadline"
        case _:
            return f"it is {place.status.replace('_', ' ')}"


_CHECKS = {
    None: "",
    "running": ", and its checks from outside are not through",
    "inconclusive": ", and its checks from outside could not tell how well",
}


def _did(status: DeviceStatus) -> str:
    return {DeviceStatus.UNHEALTHY: "was found unhealthy", DeviceStatus.REFUSED: "refused it"}.get(status, "failed")


def _taken_back(place: Place) -> str:
    if place.withdrawn_at:
        said = _because(place.reason)
        return f"rollout {place.rollout_id} took {place.image} back from it alone at {shown(place.withdrawn_at)}{said}"
    if place.back is None:
        return f"rollout {place.rollout_id} took {place.image} back"
    return f"rollout {place.rollout_id} took {place.image} back at {shown(place.back.at)}, by {place.back.by}{_because(place.back.reason)}"


def _returned(place: Place) -> str:
    if place.returned_at:
        return f"it reported its return at {shown(place.returned_at)}"
    return "it has not reported its return" if place.taken_at else "it had not taken it"


def _waits(place: Place, opens_at: datetime | None) -> str:
    """What stands between a device and an image that it is to be offered."""
    queue = f"rollout {place.rollout_id} of {place.image}"
    if place.rollout_status.is_final and place.rollout_status is not Status.COMPLETED:
        return f"{queue} ended before it was offered that"
    if place.batch is None:
        return f"it waits for {queue}: it has rank {place.rank + 1} of {place.size}"
    turn = f"its turn in {queue} came at {_at(place.turn_at)}, in batch {place.batch}"
    if place.stuck:
        return f"{turn}, and passed it over, for {place.stuck} shares its label and failed; it is offered the image once that one is mended"
    if place.is_passed_over:
        return f"{turn}, when it was silent; it is offered the image once it polls and there is room"
    window = f"its window in {place.zone}" if place.zone else "its window"
    return f"{turn}; {window} opens at {shown(opens_at)}" if opens_at else f"{turn}; {window} is closed"


# What else is known


def _left(told: Told) -> Iterator[str]:
    if told.left is not None:
        yield f"it left rollout {told.left.rollout_id} at {shown(told.left.at)}"


def _aside(aside: Aside | None) -> Iterator[str]:
    if aside is not None:
        yield f"it {aside.sentence}; no rollout begins on it meanwhile"


def _shut_out(why: str | None) -> Iterator[str]:
    if why is not None:
        yield f"it {why}: it is told nothing meanwhile, and no rollout begins on it"


def _heard(told: Told, heard: Heard | None) -> str:
    if heard is None:
        return "it has never reported what it runs"
    if heard.running is None:
        return f"its last report, at {shown(heard.at)}, does not name this service"
    said = ", ".join(part for part in (heard.running.image, heard.running.status, heard.running.health, heard.running.error) if part)
    agrees = "as told" if runs(told.image, heard.running) else "not what it is told"
    return f"it last reported {said or 'nothing of its image'}, at {shown(heard.at)}: {agrees}"


# What would change it


def _change(told: Told, outlook: Outlook | None, *, joins_none: bool) -> str:
    place = told.place
    if place is None or outlook is None:
        return (
            "an operator may change it"
            if joins_none
            else f"the next rollout of {told.image.name} that is for it may change it, or an operator"
        )
    returns = f"; should it be rolled back, the device returns to {told.base}" if place.is_offered and told.base != told.image else ""
    if place.rollout_status.is_final:
        return f"rollout {place.rollout_id} is {place.rollout_status.replace('_', ' ')}{returns}"
    return f"of rollout {place.rollout_id}: {_step(outlook.step)}{returns}"


def _step(step: Move | Wait) -> str:
    match step:
        case Move():
            return f"it is about to move: {step.event}"
        case Wait():
            return step.sentence + (f", until {shown(step.until)} at the latest" if step.until else "")
        case unknown:
            assert_never(unknown)


def _since(told: Told) -> datetime:
    place, origin = told.place, told.origin
    if place is not None and place.is_offered and place.turn_at:
        return place.again_at or place.turn_at
    if place is not None and place.is_taken_back:
        return place.withdrawn_at or (place.back.at if place.back else told.written_at)
    return origin.at if origin and (origin.at > told.written_at or told.image != told.base) else told.written_at


def _until(told: Told, outlook: Outlook | None, opens_at: datetime | None, aside: Aside | None) -> datetime | None:
    if told.place is None:
        return None if aside is None else aside.until
    waited = outlook.step.until if outlook and isinstance(outlook.step, Wait) else None
    return told.place.retry_at or opens_at or waited


def _at(moment: datetime | None) -> str:
    return "a time that is not recorded" if moment is None else shown(moment)


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
