"""What can go wrong with a request, as a sentence for whoever made it."""


class RollwaveError(Exception):
    """Something went wrong, and this is what."""


class Refused(RollwaveError):
    """The server answered, and will not do it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        """Stable, for programs: NOT_FOUND, ILLEGAL_MOVE, UNAUTHENTICATED, …"""


class Unreachable(RollwaveError):
    """There is no answer, or none that a Rollwave server gives; the same request may succeed later."""
