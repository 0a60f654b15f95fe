"""What can be refused, as sentences for the person who caused it."""


class Refused(Exception):
    """A request that changed nothing; the message says why, to the one who asked."""


class BadInput(Refused):
    """Something in the request cannot be understood."""


class Unauthenticated(Refused):
    """Nobody we know: a token or key is missing or wrong."""


class WrongKey(Unauthenticated):
    """A key that is nobody's, or not of whom it is sent for: a slip, or a guess, which whoever lets keys in may count."""


class Forbidden(Refused):
    """Known, but not allowed to do this."""


class NotFound(Refused):
    """What the request names does not exist."""


class Conflict(Refused):
    """The request is understood, but what is stored now does not allow it."""


class Unavailable(Refused):
    """Nothing is wrong with the request: something of the server's has to be mended, and then the same goes through."""


class Limited(Refused):
    """Too much was asked lately; the same goes through after so many seconds."""

    def __init__(self, sentence: str, retry_after: int) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class IllegalMove(Conflict):
    """A rollout in this state cannot be asked for that."""
