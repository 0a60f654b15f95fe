"""Which of the tags that a registry has the devices of a policy would move to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from domain import policies as rules
from domain.images import Image, Pattern
from domain.policies import Policy, Scope
from domain.tags import Verdict, choose
from storage import members, policies
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Choice:
    """Of the tags under which a policy governs the same devices, the one that they would move to."""

    tag: str | None
    meant: tuple[str, ...]
    """Those tags."""
    verdicts: tuple[Verdict, ...]
    in_use: tuple[Image, ...]
    """What these devices are based on."""


async def choices(conn: Connection, policy: Policy, repository: str, tags: Sequence[str]) -> list[Choice]:
    """One, as a rule; more where a fleet has a policy of its own for some of the tags only. What the policy does not mean is in none."""
    others = [one for one in await policies.enabled(conn) if Pattern.parse(one.settings.image_pattern).is_about(repository)]
    scopes: dict[tuple[str, ...], Scope] = {}
    meant: dict[tuple[str, ...], list[str]] = {}
    for image in (Image(repository, tag, None) for tag in tags):
        if Pattern.parse(policy.settings.image_pattern).matches(image):
            scope = rules.scope_by_hand(policy, others, image)
            scopes[scope.except_fleets] = scope
            meant.setdefault(scope.except_fleets, []).append(image.tag or "")
    return [await _choice(conn, scope, repository, meant[fleets]) for fleets, scope in scopes.items()]


async def _choice(conn: Connection, scope: Scope, repository: str, meant: Sequence[str]) -> Choice:
    in_use = await members.base_images(conn, repository, scope.fleet, scope.except_fleets, scope.selector)
    running = {used.tag or "" for used in in_use}
    # Beside the others: a hundred thousand tags take seconds.
    choice = await asyncio.to_thread(choose, scope.policy.settings.tags, meant, running)
    return Choice(choice.tag, tuple(meant), choice.verdicts, tuple(in_use))
