"""Policies, rollouts and devices by what people call them."""

from typing import Any, TypeVar
from uuid import UUID

from rollwave.api.device import DeviceDevice
from rollwave.api.find_policy import FindPolicyPolicy
from rollwave.api.find_rollout import FindRolloutRollout
from rollwave.connection import Rollwave
from rollwave.errors import Refused

T = TypeVar("T")


async def rollout_by(rollwave: Rollwave, name: str) -> FindRolloutRollout:
    """A rollout by its number or its id."""
    return found(await rollwave.find_rollout(**number_or_id(name)), "rollout", name)


async def policy_by(rollwave: Rollwave, name: str) -> FindPolicyPolicy:
    """A policy by its number or its id."""
    return found(await rollwave.find_policy(**number_or_id(name)), "policy", name)


async def device_by(rollwave: Rollwave, name: str) -> DeviceDevice:
    """A device, with all that is known of it, by its uuid or its id."""
    return found(await rollwave.device(**_uuid_or_id(name)), "device", name)


def number_or_id(name: str) -> dict[str, Any]:
    """7 is a number; ids are longer, and never digits alone."""
    return {"number": int(name)} if name.isascii() and name.isdecimal() else {"id": name}


def found(answer: T | None, kind: str, name: str) -> T:
    """What was asked for, or a sentence."""
    if answer is None:
        raise Refused("NOT_FOUND", f"there is no {kind} {name}")
    return answer


def _uuid_or_id(name: str) -> dict[str, Any]:
    try:
        return {"uuid": UUID(name)}
    except ValueError:
        return {"id": name}
