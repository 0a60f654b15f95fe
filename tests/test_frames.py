"""How what is pushed to WebSockets is framed."""

import pytest
from websockets.frames import Frame, Opcode

from server.slow_readers import head


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 10_000_000])
def test_a_message_of_any_size_is_framed_as_websockets_frames_it(size: int) -> None:
    message = bytes(size)

    assert head(size) + message == Frame(Opcode.TEXT, message).serialize(mask=False)
