"""Which tag precedes which: semver 2.0 §11, read as loosely as tags are written. Defect 15: 1.19-perl downgraded a fleet on 1.27."""

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tags import TagRules, goes_back
from domain.versions import Version

is_older = partial(goes_back, TagRules())

# The example of semver.org §11.4, and what tags add to it.
ASCENDING = [
    "0.9",
    "1.0.0-1",
    "1.0.0-2.x",
    "1.0.0-11",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "v1.0.1",
    "1.0.1.1",
    "1.2",
    "1.9",
    "v1.10",
    "1.19-perl",
    "1.27.0-alpine",
    "1.27",
    "1.27.1-rc.2",
    "1.27.1",
    "15",
    "2024.9.30",
    "2024.10.01",
    "123456",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ASCENDING)))
def test_versions_ascend(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.27", "v1.27.0"),
        ("1", "1.0.0.0"),
        ("0", "0.0"),
        ("2024.10.01", "2024.10.1"),
        ("1.27-alpine", "1.27.0-alpine"),
        ("1.0.0+7", "1.0.0"),
    ],
)
def test_the_same_version_is_written_in_several_ways(one: str, other: str) -> None:
    assert Version.parse(one) is not None
    assert Version.parse(one) == Version.parse(other)
    assert not is_older(one, other)
    assert not is_older(other, one)


@pytest.mark.parametrize(
    ("older", "newer"), [("1.26-alpine", "1.27-alpine"), ("1.9-alpine", "1.10-alpine"), ("1.27-alpine3.9", "1.27-alpine3.10")]
)
def test_variants_of_one_kind_compare_by_their_numbers(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)


@pytest.mark.parametrize(
    "tag",
    [
        *("", "v", "latest", "alpine", "nightly", "dev", "main", "version1", "vv1", "V1.0"),
        *("1234567", "v1234567", "20241001", "1234567-dirty", "1e5f7a9", "deadbeef"),
        *("1.", ".1", "1..2", "1.2.x", "1.2-", "1.2-a..b", "1.2_3", "1.27rc1", " 1.2", "1.2\n", "-1.2", "１.２", "1.²"),
        "1." + "1" * 5000,
    ],
)
def test_most_tags_are_no_version_and_neither_older_nor_newer(tag: str) -> None:
    assert Version.parse(tag) is None
    assert not is_older(tag, "9.9")
    assert not is_older("0.1", tag)


tags = st.text(max_size=20) | st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}(-[0-9a-c]{1,2}(\.[0-9a-c]{1,2}){0,2})?", fullmatch=True)


@settings(max_examples=500, deadline=None)
@given(tags, tags, tags)
def test_being_older_is_an_order(a: str, b: str, c: str) -> None:
    assert not is_older(a, a)
    assert not (is_older(a, b) and is_older(b, a))
    assert is_older(a, c) or not (is_older(a, b) and is_older(b, c))
    if Version.parse(a) and Version.parse(b):
        assert is_older(a, b) or is_older(b, a) or Version.parse(a) == Version.parse(b)
