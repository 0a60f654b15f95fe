"""The simulated fleet can be relied on: the same settings make the same fleet, and it backs off as the real agents do."""

import random

from tools.device import Identity, backoff
from tools.fleet import BadImages, FleetSettings, identities
from tools.modes import Fate, Mode, dealt, fate, ruling

SOME = dict.fromkeys(Mode, 0.1)


def test_the_same_seed_makes_the_same_fleet() -> None:
    settings = FleetSettings(size=50, shares=SOME, obedient_share=0.3, seed=7)

    assert identities(settings) == identities(settings)
    assert identities(settings) != identities(FleetSettings(size=50, shares=SOME, obedient_share=0.3, seed=8))


def test_a_fleet_has_the_share_of_every_mode_that_was_asked_for() -> None:
    fleet = identities(FleetSettings(size=300, shares={Mode.NEVER_POLLS: 0.04, Mode.FLAPS: 0.1}, obedient_share=0.5))

    assert sum(device.is_silent for device in fleet) == 12
    assert sum(Mode.FLAPS in device.modes for device in fleet) == 30
    assert sum(device.obeys_intervals for device in fleet) == 150
    assert len({device.uuid for device in fleet}) == len({device.key for device in fleet}) == 300
    assert {len(device.key) for device in fleet} == {64}


def test_one_mode_more_changes_nothing_of_who_has_the_others() -> None:
    alone, beside = dealt({Mode.FLAPS: 0.1}, 200, 7), dealt({Mode.REPLAYS: 0.2, Mode.FLAPS: 0.1}, 200, 7)

    assert [Mode.FLAPS in modes for modes in alone] == [Mode.FLAPS in modes for modes in beside]
    assert any(len(modes) == 2 for modes in beside)


def test_of_several_modes_the_first_decides() -> None:
    assert fate({Mode.EXITS_AT_ONCE, Mode.REPLAYS, Mode.FAILS_TO_PULL}) is Fate.CANNOT_BE_PULLED
    assert ruling({Mode.EXITS_AT_ONCE, Mode.REPLAYS, Mode.FAILS_TO_PULL}) is Mode.FAILS_TO_PULL
    assert (ruling({Mode.RESTARTS}), fate({Mode.RESTARTS})) == (Mode.RESTARTS, Fate.RUNS)
    assert (ruling(()), fate(())) == (None, Fate.RUNS)


def test_a_device_backs_off_as_the_real_agent_does() -> None:
    """The agent of November 2025 waits 15 s · 2^(n-1), at most 15 minutes, ±30 %, after a failed poll and after a failed report alike."""
    dice = random.Random(1)
    waits = {failures: [backoff(failures, dice) for _ in range(500)] for failures in (1, 2, 3, 6, 7, 1000)}

    for failures, middle in {1: 15, 2: 30, 3: 60, 6: 480, 7: 900, 1000: 900}.items():
        assert 0.7 * middle <= min(waits[failures]) < 0.75 * middle
        assert 1.25 * middle < max(waits[failures]) <= 1.3 * middle


def test_a_bad_image_exits_on_about_its_share_of_the_devices() -> None:
    behaviour, dice, who = BadImages({"acme/sensor:1.2.0": 0.6}), random.Random(1), Identity(0, "", "")

    assert 0.5 < sum(behaviour(who, "acme/sensor:1.2.0", dice) is Fate.EXITS for _ in range(500)) / 500 < 0.7
    assert all(behaviour(who, "acme/sensor:1.1.0", dice) is Fate.RUNS for _ in range(500))
