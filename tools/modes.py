"""In which ways simulated devices misbehave, and what that makes of an image that they are offered."""

import random
from collections.abc import Collection, Mapping
from enum import StrEnum


class Mode(StrEnum):
    """What is wrong with a device. One may have several modes."""

    NEVER_POLLS = "never_polls"
    """Registered, then switched off."""
    LIES_ABOUT_VERSION = "lies_about_version"
    """Claims a new version and the configuration of its image, and goes on running the old one."""
    FAILS_TO_PULL = "fails_to_pull"
    PULLS_SLOWLY = "pulls_slowly"
    """Takes longer than the policy's deadline, and arrives in the end."""
    EXITS_AT_ONCE = "exits_at_once"
    FLAPS = "flaps"
    """The new container exits and starts again some times, and then stays down."""
    CRASHES_AFTER_SUCCESS = "crashes_after_success"
    """The new container runs well, and exits within the soak time."""
    REPLAYS = "replays"
    """Loses its connection when it is told something new; after that it reports anew, and then sends what it could not, without version."""
    LOSES_CONNECTION = "loses_connection"
    """The same, without the replays."""
    RESTARTS = "restarts"
    """The agent starts anew now and then, knows no entity tag any more, and asks for everything."""


class Fate(StrEnum):
    """What becomes of an image on a device."""

    RUNS = "runs"
    EXITS = "exits"
    CRASHES = "crashes"
    FLAPS = "flaps"
    COMES_SLOWLY = "comes slowly"
    CANNOT_BE_PULLED = "cannot be pulled"
    IS_ONLY_CLAIMED = "is only claimed"


_FATES = {
    Mode.LIES_ABOUT_VERSION: Fate.IS_ONLY_CLAIMED,
    Mode.FAILS_TO_PULL: Fate.CANNOT_BE_PULLED,
    Mode.PULLS_SLOWLY: Fate.COMES_SLOWLY,
    Mode.EXITS_AT_ONCE: Fate.EXITS,
    Mode.FLAPS: Fate.FLAPS,
    Mode.CRASHES_AFTER_SUCCESS: Fate.CRASHES,
}


def dealt(shares: Mapping[Mode, float], size: int, seed: int) -> list[frozenset[Mode]]:
    """The modes of so many devices. Each mode is dealt by dice of its own: another mode, or share, changes nothing of the others."""
    hands: list[set[Mode]] = [set() for _ in range(size)]
    for mode, share in shares.items():
        for number in random.Random(f"{seed}/{mode}").sample(range(size), round(size * share)):
            hands[number].add(mode)
    return [frozenset(hand) for hand in hands]


def ruling(modes: Collection[Mode]) -> Mode | None:
    """The one of several modes that decides what comes of a new image: the first in the order above."""
    return next((mode for mode in Mode if mode in modes), None)


def fate(modes: Collection[Mode]) -> Fate:
    """What becomes of a new image on a device with these modes."""
    return next((_FATES[mode] for mode in Mode if mode in modes and mode in _FATES), Fate.RUNS)
