"""Whoever holds what clients were told against the table notices everything that is wrong with it."""

import pytest

from tools.followers import Account

TABLE = [*"0abcdef"]
"""What there was to tell, after the beginning."""


@pytest.mark.parametrize(
    ("stretches", "repeated"),
    [
        (["abcdef"], 0),
        (["abc", "", "def"], 0),
        (["abc", "bcdef"], 2),
        (["abc", "ab", "abcdef"], 6),
    ],
)
def test_everything_in_its_order_is_right_and_who_comes_again_may_be_told_again(stretches: list[str], repeated: int) -> None:
    account = Account(TABLE, "0", stretches)

    assert (account.mistakes, account.repeated) == ([], repeated)


@pytest.mark.parametrize(
    ("stretches", "mistakes"),
    [
        (["abcde"], ["the last 1 of 7 were not told"]),
        ([], ["the last 6 of 7 were not told"]),
        (["bcdef"], ["on connection 1 of 1 1 were missing at first"]),
        (["ab", "def"], ["on connection 2 of 2 1 were missing at first"]),
        (["abccdef"], ["on connection 1 of 1 came [1, 2, 3, 3, 4, 5], and 0 more such steps"]),
        (["abdcef"], ["on connection 1 of 1 came [1, 2, 4, 3, 5], and 2 more such steps"]),
        (["abcdef", "x"], ["on connection 2 of 2 1 were told that there are not"]),
    ],
)
def test_what_is_missing_told_twice_out_of_order_or_made_up_is_noticed(stretches: list[str], mistakes: list[str]) -> None:
    assert Account(TABLE, "0", stretches).mistakes == mistakes
