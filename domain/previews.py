"""What a rollout would do if it were created now: who takes part, who is left out and why, and how long it may take."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.aside import Aside
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.plans import Plan
from domain.policies import Scope
from domain.rollouts import Rollout


class LeftOut(StrEnum):
    """Why a device that runs the image would not take part: the words of the SQL function `choice`, which decides it."""

    OWN_POLICY = "own_policy"
    """Its fleet has a policy of its own."""
    OTHER_FLEET = "other_fleet"
    """The policy is for another fleet."""
    OTHER_LABELS = "other_labels"
    """The policy is for devices with other labels."""
    SAME_IMAGE = "same_image"
    """It is told to run this image already."""
    NEWER_VERSION = "newer_version"
    """It runs a newer version, or one from which the rules for tags do not lead here; a push spares it, an operator does not."""
    REVOKED = "revoked"
    """An operator lets it in no more."""
    WAITING = "waiting"
    """It has registered, and no operator has accepted it yet."""
    PINNED = "pinned"
    HELD = "held"
    QUARANTINED = "quarantined"
    OTHER_ROLLOUT = "other_rollout"
    """It is in another rollout of the same image that is under way."""


_WORDS = {
    LeftOut.OWN_POLICY: "under a policy of their own", LeftOut.OTHER_FLEET: "of another fleet",
    LeftOut.OTHER_LABELS: "with other labels", LeftOut.SAME_IMAGE: "running it already",
    LeftOut.NEWER_VERSION: "on a newer version, or kept by the rules for tags", LeftOut.REVOKED: "revoked",
    LeftOut.WAITING: "waiting to be accepted", LeftOut.PINNED: "pinned", LeftOut.HELD: "held",
    LeftOut.QUARANTINED: "in quarantine", LeftOut.OTHER_ROLLOUT: "in another rollout of it",
}  # fmt: skip


def nobody(left_out: dict[LeftOut, int]) -> str:
    """Why a rollout has no devices, in a sentence."""
    why = [f"{left_out[reason]} {_WORDS[reason]}" for reason in LeftOut if reason in left_out]
    return "no device needed it" if not why else f"it is for no device: {', '.join(why)}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rollout that nobody has created."""

    scope: Scope
    images: tuple[Image, ...]
    """Those that would move together."""
    plan: Plan
    supersedes: tuple[Rollout, ...]
    """The rollouts under way that it would take over from."""
    at: datetime
    """When it would be created."""


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that are alike in why they are left out; None is: they take part."""

    why: LeftOut | None
    rollout_id: RolloutId | None
    """The other rollout that they are in."""
    label: str
    """What those who take part name as their time zone; empty for none, and where the plan has no windows."""
    stage: int | None
    """The stage that names them as its canaries."""
    devices: int
    first: tuple[DeviceId, ...]
    """Some of those left out: the first that registered."""


@dataclass(frozen=True, slots=True)
class LeftOutDevice:
    """One that would not take part."""

    device_id: DeviceId
    uuid: str
    name: str
    fleet: str | None
    labels: dict[str, str] = field(hash=False)
    images: tuple[str, ...]
    """What it is told to run of these repositories."""
    aside: Aside | None
    rollout_id: RolloutId | None


@dataclass(frozen=True, slots=True)
class Sample:
    """How many are left out for a reason, and the first of them."""

    why: LeftOut
    devices: int
    first: tuple[LeftOutDevice, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """When the devices of a time zone may first be offered the image."""

    zone: str
    """Empty where every window names a time zone of its own."""
    devices: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the rollout would be over if all goes well."""

    likely: datetime | None
    """If the devices take as long as half of them did."""
    late: datetime | None
    """If they take as long as nine in ten did at the most."""
    why_not: str | None
    """Why that cannot be said."""
    basis: str
    """Where the times come from that devices are taken to need."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rollout would do if an operator created it now."""

    proposal: Proposal
    refusal: str | None
    """Why it would not be created; the rest is said as if it were."""
    sizes: tuple[int, ...]
    """How many have been offered the image once each stage is open."""
    left_out: tuple[Sample, ...]
    openings: tuple[Opening, ...]
    forecast: Forecast


def sentence(why: LeftOut, device: LeftOutDevice) -> str:
    """Why this device would not take part, for people."""
    match why:
        case LeftOut.OWN_POLICY:
            return f"its fleet, {device.fleet}, has a policy of its own"
        case LeftOut.OTHER_FLEET:
            return f"it belongs to {device.fleet}" if device.fleet else "it belongs to no fleet"
        case LeftOut.OTHER_LABELS:
            return f"its labels are {_labels(device.labels)}" if device.labels else "it has no labels"
        case LeftOut.SAME_IMAGE:
            return f"it is told to run {' and '.join(device.images)} already"
        case LeftOut.NEWER_VERSION:
            return f"it is told to run {' and '.join(device.images)}, a newer version or one that the rules for tags keep"
        case LeftOut.OTHER_ROLLOUT:
            return f"it is in rollout {device.rollout_id}, which is under way"
        case LeftOut.REVOKED:
            return "it was revoked, until an operator restores it"
        case LeftOut.WAITING:
            return "it waits to be accepted by an operator"
        case LeftOut.PINNED | LeftOut.HELD | LeftOut.QUARANTINED:
            return f"it {device.aside.sentence}" if device.aside else "it is set aside"


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
