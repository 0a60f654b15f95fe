"""Whether the server and the simulated devices agree: what each device was told, what it runs, and what came of it."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from domain.devices import services_of
from domain.statuses import DeviceStatus as Is
from tools.api import Known
from tools.device import Device
from tools.docker import ServiceKey
from tools.modes import Mode, ruling
from tools.props import APP, BAD, FIRST, GOOD, SERVICE, image

Shown = tuple[str, str] | None
"""An image and Docker's word for its container; None where there is no container."""
Rule = Callable[[Device], set[Is]]
"""What may be said of a device when a rollout is over."""

OLD, NEW, DOWN = (image(FIRST), "running"), (image(GOOD), "running"), (image(GOOD), "exited")
_ENDS_ON: dict[Mode | None, set[Shown]] = {
    Mode.NEVER_POLLS: {None},
    Mode.LIES_ABOUT_VERSION: {OLD},
    Mode.FAILS_TO_PULL: {OLD},
    Mode.PULLS_SLOWLY: {OLD, NEW},
    Mode.EXITS_AT_ONCE: {DOWN},
    Mode.FLAPS: {DOWN},
    Mode.CRASHES_AFTER_SUCCESS: {DOWN},
}
_IS_AFTER_GOOD: dict[Mode | None, set[Is]] = {
    Mode.NEVER_POLLS: {Is.SCHEDULED},
    Mode.LIES_ABOUT_VERSION: {Is.TIMED_OUT},
    Mode.FAILS_TO_PULL: {Is.FAILED},
    Mode.PULLS_SLOWLY: {Is.TIMED_OUT},
    Mode.EXITS_AT_ONCE: {Is.FAILED},
    Mode.FLAPS: {Is.FAILED},
    Mode.CRASHES_AFTER_SUCCESS: {Is.FAILED},
}


def runs(device: Device) -> Shown:
    """What a device really runs of the image that is rolled out."""
    container = device.containers.get((APP, SERVICE))
    return None if container is None else (container.image, container.status)


def ends_on(device: Device) -> set[Shown]:
    """What a device must run in the end: the good image if it can, and never the bad one."""
    return _ENDS_ON.get(ruling(device.identity.modes), {NEW})


def after_a_good_image(device: Device) -> set[Is]:
    """Who runs it well is healthy; who pulls slowly has timed out, until it arrives after all."""
    mode = ruling(device.identity.modes)
    if mode is Mode.PULLS_SLOWLY and runs(device) == NEW:
        return {Is.UPDATED, Is.HEALTHY}
    return _IS_AFTER_GOOD.get(mode, {Is.HEALTHY})


def after_a_bad_image(device: Device) -> set[Is]:
    """Who was told of it is back on what it ran before, if that runs; whoever was not told is left alone."""
    if image(BAD) not in device.ever_told:
        return {Is.PENDING, Is.ROLLED_BACK}
    match ruling(device.identity.modes):
        case Mode.EXITS_AT_ONCE | Mode.FLAPS | Mode.CRASHES_AFTER_SUCCESS:
            return {Is.ROLLED_BACK, Is.ROLLING_BACK}  # the image it had before ran for a moment, and it said so or not
        case Mode.PULLS_SLOWLY:
            return {Is.ROLLED_BACK, Is.ROLLING_BACK}  # it may have come to run that only now
        case _:
            return {Is.ROLLED_BACK} if runs(device) == NEW else {Is.ROLLING_BACK}


@dataclass(frozen=True, slots=True)
class Account:
    """What one device and the server said of it at one moment."""

    device: Device
    runs: Shown
    status: Is | None
    allowed: set[Is]
    disagreements: list[str]
    """Where the two differ, or either differs from what must be; empty if all is well."""


def compared(device: Device, known: Known, status: Is | None, rule: Rule) -> Account:
    """A device's own account beside the server's, which must be fresh: the device goes on living."""
    allowed = rule(device)
    told = [] if device.identity.is_silent else _of_the_target(device, known)
    wrong = [*device.contradictions, *_of_the_end(device, status, allowed), *told, *_of_what_runs(device, known)]
    return Account(device, runs(device), status, allowed, [f"{device.identity.name}: {what}" for what in wrong])


def _of_the_end(device: Device, status: Is | None, allowed: set[Is]) -> list[str]:
    wrong = [] if runs(device) in ends_on(device) else [f"it runs {runs(device)}"]
    return wrong if status in allowed else [*wrong, f"it is {status} and not {' or '.join(sorted(allowed))}"]


def _of_the_target(device: Device, known: Known) -> list[str]:
    told = known.target_state
    images = {(one.app, one.service): one.image for one in services_of(told.apps)}
    if (images, told.version) == (device.wanted, device.version):
        return []
    return [f"it was told {device.wanted} as version {device.version}, the server says {images} as {told.version}"]


def _of_what_runs(device: Device, known: Known) -> list[str]:
    really: dict[ServiceKey, Shown] = {key: (one.image, one.status) for key, one in device.containers.items()}
    said = known.current_state
    heard: dict[ServiceKey, Shown] = {} if said is None else {(s.app, s.service): (s.image, s.status) for s in services_of(said.apps)}
    wrong = [] if really == heard else [f"it runs {really}, the server says {heard}"]
    version = None if said is None else said.version
    return wrong if version == device.said_version else [*wrong, f"it said version {device.said_version}, the server says {version}"]


@dataclass(frozen=True, slots=True)
class Row:
    """The devices that one mode decides about."""

    mode: str
    devices: int
    must_run: list[str]
    run: dict[str, int]
    may_be: list[str]
    are: dict[str, int]
    disagree: int


def table(accounts: Iterable[Account]) -> list[Row]:
    """What must be and what is, mode by mode."""
    found: dict[Mode | None, list[Account]] = {}
    for account in accounts:
        found.setdefault(ruling(account.device.identity.modes), []).append(account)
    return [_row(mode, found[mode]) for mode in (None, *Mode) if mode in found]


def _row(mode: Mode | None, accounts: list[Account]) -> Row:
    return Row(
        mode=mode or "none",
        devices=len(accounts),
        must_run=sorted({_said(shown) for account in accounts for shown in ends_on(account.device)}),
        run=dict(Counter(_said(account.runs) for account in accounts)),
        may_be=sorted({status.value for account in accounts for status in account.allowed}),
        are=dict(Counter(str(account.status) for account in accounts)),
        disagree=sum(bool(account.disagreements) for account in accounts),
    )


def _said(shown: Shown) -> str:
    """In a word: the tag, and whether it is down."""
    return "nothing" if shown is None else shown[0].rpartition(":")[2] + ("" if shown[1] == "running" else " (down)")
