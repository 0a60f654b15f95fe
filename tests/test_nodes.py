"""The ids that clients hold: opaque to them, and never taken for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from schema.nodes import key_of, node_id

KEYS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=512)


@given(st.sampled_from(["Policy", "Rollout", "RolloutDevice", "WebhookEndpoint"]), KEYS)
def test_an_id_opens_what_it_was_made_of_however_long_it_is(kind: str, key: str) -> None:
    assert key_of(node_id(kind, key), kind) == key


@pytest.mark.parametrize("bad", ["", "7", "x", "=", "UG9saWN5OjE==", "UG9saWN5", "UG9saWN5OjE\n", "ä", "/+8"])
def test_what_was_not_handed_out_is_not_an_id(bad: str) -> None:
    with pytest.raises(BadInput, match="is not an id that was handed out here"):
        key_of(bad, "Policy")


def test_an_id_of_one_kind_is_not_one_of_another() -> None:
    with pytest.raises(BadInput, match="this is the id of a Rollout, not of a Policy"):
        key_of(node_id("Rollout", 1), "Policy")
