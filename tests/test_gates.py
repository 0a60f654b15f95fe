"""What a pushed image has to pass, gate by gate."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import gates, platforms
from domain.catalogue import KnownImage, Standing, covers, standing
from domain.gates import NOT_ASKED, PATIENCE, UNTIL_IT_IS_PROVEN, UNTIL_IT_IS_THERE, Found, Moment, Unknown
from domain.images import Image
from domain.provenance import Evidence
from domain.pushes import Hold, try_again_after
from domain.settings import Unresolved

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
TAG, RELEASE = Image.parse("app:1.0"), Image.parse(f"app:1.0@{A}")
DOWN = Unknown("it is down")
NOT_NAMED = Unknown("nobody named it", may_be_asked=False)
MISSING = Unknown("there is no app:1.0", is_missing=True)
BUSY = Unknown("it is busy", retry_after=timedelta(minutes=10))
SECOND = timedelta(seconds=1)


def after(since: timedelta, attempts: int = 0) -> Moment:
    """So long after it was told."""
    return Moment(NOW, NOW - since, attempts)


AT_ONCE = after(timedelta(0))


# The digest


@pytest.mark.parametrize("unresolved", Unresolved)
@pytest.mark.parametrize("moves", [True, False])
def test_a_digest_that_is_known_passes(unresolved: Unresolved, moves: bool) -> None:
    assert gates.pinned(Found(RELEASE), unresolved, moves, AT_ONCE) is None


@pytest.mark.parametrize(
    ("unresolved", "moves", "goes_by_tag"),
    [
        (Unresolved.AUTO, False, True),
        (Unresolved.AUTO, True, False),
        (Unresolved.WAIT, False, False),
        (Unresolved.WAIT, True, False),
        (Unresolved.BY_TAG, False, True),
        (Unresolved.BY_TAG, True, True),
    ],
)
def test_the_policy_says_what_becomes_of_a_tag_whose_digest_nobody_tells(unresolved: Unresolved, moves: bool, goes_by_tag: bool) -> None:
    for unknown, at in ((NOT_NAMED, AT_ONCE), (DOWN, after(PATIENCE)), (BUSY, after(PATIENCE))):
        held = gates.pinned(Found(TAG, unknown), unresolved, moves, at)

        assert (held is None) == goes_by_tag, unknown


@pytest.mark.parametrize("unresolved", Unresolved)
def test_a_registry_that_may_be_asked_is_given_a_minute(unresolved: Unresolved) -> None:
    held = gates.pinned(Found(TAG, DOWN), unresolved, False, after(PATIENCE - SECOND))

    assert held is not None
    assert held.why.startswith("its digest is not known: it is down")


def test_who_goes_by_the_tag_in_the_end_does_not_wait_longer_for_a_registry_that_wants_rest() -> None:
    at = after(timedelta(seconds=20))

    held = gates.pinned(Found(TAG, BUSY), Unresolved.BY_TAG, False, at)
    patient = gates.pinned(Found(TAG, BUSY), Unresolved.WAIT, False, at)

    assert held == Hold("its digest is not known: it is busy; a minute after it was pushed it goes by its tag", NOW + timedelta(seconds=40))
    assert patient == Hold("its digest is not known: it is busy", NOW + timedelta(minutes=10))


@pytest.mark.parametrize("unresolved", Unresolved)
def test_what_was_not_asked_for_yet_never_goes_by_its_tag(unresolved: Unresolved) -> None:
    assert gates.pinned(Found(TAG), unresolved, False, after(timedelta(days=1))) is not None


@pytest.mark.parametrize("unresolved", Unresolved)
def test_a_tag_that_is_not_there_is_awaited_for_ten_minutes_whatever_the_policy_says(unresolved: Unresolved) -> None:
    early = gates.pinned(Found(TAG, MISSING), unresolved, False, after(UNTIL_IT_IS_THERE - SECOND, attempts=2))
    late = gates.pinned(Found(TAG, MISSING), unresolved, False, after(UNTIL_IT_IS_THERE))

    assert early == Hold("there is no app:1.0", NOW + timedelta(seconds=20))
    assert late == Hold("there is no app:1.0")


def test_pauses_double_from_five_seconds_to_a_quarter_of_an_hour() -> None:
    assert [try_again_after(attempts).total_seconds() for attempts in (0, 1, 2, 7, 8, 10, 11, 10**9)] == [
        5,
        10,
        20,
        640,
        900,
        900,
        900,
        900,
    ]


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 600), (8, 900)])
def test_nobody_is_asked_before_he_wants_to_be(attempts: int, seconds: int) -> None:
    assert after(SECOND, attempts).again(BUSY) == NOW + timedelta(seconds=seconds)


# Age


def test_an_image_is_ripe_from_the_moment_that_its_age_is_reached() -> None:
    hour = timedelta(hours=1)

    assert gates.aged(NOW - hour, hour, NOW) is None
    assert gates.aged(NOW, timedelta(0), NOW) is None
    assert gates.aged(NOW - hour + SECOND, hour, NOW) == Hold(
        "it is taken 60 minutes after it was first heard of", NOW + SECOND, only_time=True
    )


# Approval


@pytest.mark.parametrize("said", [None, Standing.PENDING])
def test_who_was_not_approved_waits_and_asks(said: Standing | None) -> None:
    held = gates.approved(said, NOW)

    assert held is not None
    assert (held.why, held.asks_operators, held.until) == ("it waits for approval", True, NOW + gates.LOOK_AGAIN)


@pytest.mark.parametrize("said", [Standing.REJECTED, Standing.DEPRECATED])
def test_a_refusal_ends_it(said: Standing) -> None:
    assert gates.approved(said, NOW) == Hold(f"it is {said}")


def test_what_is_approved_passes() -> None:
    assert gates.approved(Standing.APPROVED, NOW) is None


def known(name: str, said: Standing) -> KnownImage:
    image = Image.parse(name)
    return KnownImage(1, image.repository, image if ":" in name or "@" in name else None, said, NOW, None, None, None)


APPROVED, REJECTED, DEPRECATED, PENDING = Standing.APPROVED, Standing.REJECTED, Standing.DEPRECATED, Standing.PENDING


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({}, None),
        ({f"app:1.0@{B}": APPROVED, "app:2.0": APPROVED, f"app@{B}": APPROVED}, None),
        ({"app": APPROVED}, APPROVED),
        ({"app:1.0": APPROVED}, APPROVED),
        ({f"app@{A}": APPROVED}, APPROVED),
        ({f"app:1.0@{A}": APPROVED}, APPROVED),
        # the more exact counts
        ({"app": APPROVED, "app:1.0": DEPRECATED}, DEPRECATED),
        ({"app": DEPRECATED, "app:1.0": APPROVED}, APPROVED),
        ({"app:1.0": APPROVED, f"app@{A}": REJECTED}, REJECTED),
        ({f"app@{A}": REJECTED, f"app:1.0@{A}": APPROVED}, APPROVED),
        # but of a repository that was rejected nothing is taken
        ({"app": REJECTED, "app:1.0": APPROVED, f"app:1.0@{A}": APPROVED}, REJECTED),
        # a question is no answer
        ({f"app:1.0@{A}": PENDING}, PENDING),
        ({f"app:1.0@{A}": PENDING, "app:1.0": APPROVED}, APPROVED),
        ({f"app:1.0@{A}": PENDING, "app": APPROVED}, APPROVED),
        ({f"app:1.0@{A}": PENDING, "app": DEPRECATED}, DEPRECATED),
        ({"app": PENDING}, None),
        ({"app:1.0": PENDING}, None),
    ],
)
def test_of_what_was_said_the_most_exact_counts(said: dict[str, Standing], counts: Standing | None) -> None:
    assert standing(RELEASE, [known(name, verdict) for name, verdict in said.items()]) is counts


def test_an_image_without_a_digest_is_not_covered_by_what_was_said_of_one() -> None:
    assert standing(TAG, [known(f"app:1.0@{A}", APPROVED), known(f"app@{A}", APPROVED)]) is None
    assert standing(TAG, [known("app:1.0", APPROVED)]) is APPROVED


@pytest.mark.parametrize(
    ("said", "is_covered"),
    [(None, True), (f"app:1.0@{A}", True), (f"app@{A}", True), ("app:1.0", True), ("app:1.1", False), (f"app@{B}", False)],
)
def test_what_is_said_covers_the_image_its_digest_its_tag_or_all(said: str | None, is_covered: bool) -> None:
    assert covers(None if said is None else Image.parse(said), RELEASE) is is_covered


def test_a_known_image_is_called_by_what_was_judged() -> None:
    assert [known(name, APPROVED).name for name in ("app", "app:1.0", f"app@{A}", f"app:1.0@{A}")] == [
        "app", "app:1.0", f"app@{A}", f"app:1.0@{A}",
    ]  # fmt: skip


# Platforms


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("x64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("AARCH64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("arm", "linux/arm"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("Windows/AMD64", "windows/amd64"),
        ("toaster", None),
        ("", None),
    ],
)
def test_architectures_have_one_name(said: str, means: str | None) -> None:
    assert platforms.platform(said) == means


@pytest.mark.parametrize(
    ("device", "image", "runs"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v7", "linux/arm/v6", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm64", "linux/arm/v7", False),
        ("linux/amd64/v3", "linux/amd64/v2", True),
        ("linux/amd64/v2", "linux/amd64/v3", False),
        ("linux/amd64", "linux/amd64/v2", True),
    ],
)
def test_a_device_runs_its_own_platform_and_what_precedes_it(device: str, image: str, runs: bool) -> None:
    assert (platforms.missing([device], frozenset({image})) == []) is runs


def test_every_platform_that_is_lacking_is_named_once() -> None:
    offered = frozenset({"linux/amd64", "linux/arm64/v8"})

    held = gates.runs_on(["linux/s390x", "linux/arm/v7", "linux/s390x", "linux/arm64"], offered, AT_ONCE)

    assert held == Hold("it has nothing for linux/arm/v7, linux/s390x, only for linux/amd64, linux/arm64/v8")
    assert gates.runs_on(["linux/arm64"], offered, AT_ONCE) is None
    assert gates.runs_on(["linux/arm64"], frozenset(), AT_ONCE) == Hold("it has nothing for linux/arm64, only for nobody")


def test_platforms_that_nobody_tells_are_awaited_by_those_who_have_one() -> None:
    assert gates.runs_on(["linux/arm64"], DOWN, AT_ONCE) == Hold("its platforms are not known: it is down", NOW + timedelta(seconds=5))
    assert gates.runs_on(["linux/arm64"], NOT_ASKED, AT_ONCE) is not None
    assert gates.runs_on([], DOWN, AT_ONCE) is None


# Provenance


def test_what_is_proven_passes() -> None:
    assert gates.proven(Evidence(True, "a signature"), AT_ONCE) is None


def test_proof_is_awaited_for_a_day_and_a_registry_for_as_long_as_it_takes() -> None:
    lacking = Evidence(False, "no signature was found")

    assert gates.proven(lacking, after(UNTIL_IT_IS_PROVEN - SECOND)) == Hold("no signature was found", NOW + timedelta(seconds=5))
    assert gates.proven(lacking, after(UNTIL_IT_IS_PROVEN)) == Hold("no signature was found")
    assert gates.proven(BUSY, after(UNTIL_IT_IS_PROVEN)) == Hold("its provenance is not known: it is busy", NOW + timedelta(minutes=10))
