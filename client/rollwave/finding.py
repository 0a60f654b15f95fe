"""Policies, rollouts and devices by what people call them."""

import shlex
from typing import Any, TypeVar
from uuid import UUID

from rollwave.api.device import DeviceDevice
from rollwave.api.find_policy import FindPolicyPolicy
from rollwave.api.find_rollout import FindRolloutRollout
from rollwave.connection import Rollwave
from rollwave.errors import Refused

T = TypeVar("T")
LARGEST = 2**31 - 1
"""GraphQL's Int ends here."""


async def rollout_by(rollwave: Rollwave, name: str) -> FindRolloutRollout:
    """A rollout by its number or its id."""
    return found(await rollwave.find_rollout(**number_or_id("rollout", name)), "rollout", name)


async def policy_by(rollwave: Rollwave, name: str) -> FindPolicyPolicy:
    """A policy by its number or its id."""
    return found(await rollwave.find_policy(**number_or_id("policy", name)), "policy", name)


async def device_by(rollwave: Rollwave, name: str) -> DeviceDevice:
    """A device, with all that is known of it, by its uuid or its id."""
    uuid = _uuid(name)
    return await _device_by_id(rollwave, name) if uuid is None else found(await rollwave.device(uuid=uuid), "device", name)


def number_or_id(kind: str, name: str) -> dict[str, Any]:
    """7 is a number; ids are longer, and never digits alone."""
    if not (name.isascii() and name.isdecimal()):
        return {"id": name}
    if len(name) > len(str(LARGEST)) or int(name) > LARGEST:
        raise missing(kind, name)
    return {"number": int(name)}


def found(answer: T | None, kind: str, name: str) -> T:
    """What was asked for, or a sentence."""
    if answer is None:
        raise missing(kind, name)
    return answer


def missing(kind: str, name: str) -> Refused:
    """There is none."""
    return Refused("NOT_FOUND", f"there is no {kind} {name}")


async def _device_by_id(rollwave: Rollwave, name: str) -> DeviceDevice:
    try:
        device = await rollwave.device(id=name)
    except Refused as refused:
        if refused.code != "BAD_USER_INPUT":
            raise
        device = None
    if device is None:
        search = f"rollwave devices list --search {shlex.quote(name)}"
        raise Refused("NOT_FOUND", f"there is no device {name}: a uuid is wanted, and `{search}` finds it")
    return device


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
