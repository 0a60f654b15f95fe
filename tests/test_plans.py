"""How many devices each batch has."""

import pytest

from domain.plans import Stage, shares, sizes
from domain.settings import settings


def _staged(batches: int) -> tuple[Stage, ...]:
    return settings({"image_pattern": "nginx", "update_strategy": "staged", "staged_batches": batches}).plan().stages


@pytest.mark.parametrize(
    ("batches", "percents"),
    [
        (1, (100,)),
        (2, (10, 100)),
        (3, (10, 50, 100)),
        (4, (10, 40, 70, 100)),
        (5, (10, 30, 50, 70, 100)),
        (10, (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)),
        (20, tuple(range(5, 101, 5))),
    ],
)
def test_a_tenth_goes_first_and_the_rest_in_even_steps(batches: int, percents: tuple[int, ...]) -> None:
    assert shares(batches) == percents


# The original's table (original-system.md §1.3) had 60 % after its second batch, and more batches than devices below ten.
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, ()),
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (4, (1, 2, 4)),
        (5, (1, 2, 5)),
        (9, (1, 4, 9)),
        (10, (1, 5, 10)),
        (11, (1, 5, 11)),
        (100, (10, 50, 100)),
        (1_000_000, (100_000, 500_000, 1_000_000)),
    ],
)
def test_three_batches_are_a_tenth_half_and_all(size: int, expected: tuple[int, ...]) -> None:
    assert sizes(_staged(3), size) == expected


@pytest.mark.parametrize("size", [1, 2, 7, 50, 99, 1000])
def test_no_batch_is_empty_and_the_last_is_everybody(size: int) -> None:
    for batches in range(1, 101):
        counts = sizes(_staged(batches), size)
        assert counts[-1] == size
        assert all(before < after for before, after in zip((0, *counts), counts, strict=False))
        assert len(counts) <= batches
