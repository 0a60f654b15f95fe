"""What can be refused, as sentences for the person who caused it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from domain.events import Cursor


class Refused(Exception):
    """A request that changed nothing; the message says why, to the one who asked."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of a request."""

    path: tuple[str, ...]
    """Where it stands, from the outside in; places in lists as numbers: stages, 0, soak_minutes."""
    message: str
    """Without the name of the field."""


class BadInput(Refused):
    """Something in the request cannot be understood; `problems` says in which fields, as far as that can be said."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or _problems(message)


class Unauthenticated(Refused):
    """Nobody we know: a token or key is missing or wrong."""


class WrongKey(Unauthenticated):
    """A key that is nobody's, or not of whom it is sent for: a slip, or a guess, which whoever lets keys in may count."""


class Forbidden(Refused):
    """Known, but not allowed to do this."""


class NotFound(Refused):
    """What the request names does not exist; `kind` and `key` say what that was, where it has both."""

    def __init__(self, message: str, kind: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.key = key

    @classmethod
    def of(cls, kind: str, key: object) -> Self:
        """There is no such policy, rollout, device."""
        return cls(f"there is no {kind} {key}", kind, str(key))


class CursorExpired(Refused):
    """What happened after a cursor is not all known any more; after `oldest` everything is."""

    def __init__(self, message: str, oldest: "Cursor") -> None:
        super().__init__(message)
        self.oldest = oldest


class Conflict(Refused):
    """The request is understood, but what is stored now does not allow it."""


class StaleVersion(Conflict):
    """It was decided on something else than there is now, whose version is `current`."""

    def __init__(self, message: str, current: int) -> None:
        super().__init__(message)
        self.current = current


class KeyReused(Conflict):
    """The idempotency key stands for another request."""


class Unavailable(Refused):
    """Nothing is wrong with the request: something of the server's has to be mended, and then the same goes through."""


class Limited(Refused):
    """Too much was asked lately; the same goes through after so many seconds."""

    def __init__(self, sentence: str, retry_after: int) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class IllegalMove(Conflict):
    """A rollout in this state cannot be asked for that."""


# “name: why”, “audience, serviceAccount: why”, “apps.1001.services[0].config.image: why”, “config must be an object”.
_FIELD = r"[A-Za-z_]\w*(?:\.[\w-]+|\[\d+\])*"
_OF_FIELDS = re.compile(rf"({_FIELD}(?:, {_FIELD})*)(?:: | (?=must be |needs ))(.+)", re.DOTALL)


def _problems(message: str) -> tuple[Problem, ...]:
    """Which fields a sentence is about, as it says itself where it begins with their names."""
    if (said := _OF_FIELDS.fullmatch(message)) is None:
        return ()
    fields, why = said.groups()
    return tuple(Problem(tuple(re.findall(r"[\w-]+", field)), why) for field in fields.split(", "))


@contextmanager
def about(*path: str) -> Iterator[None]:
    """What is refused within is wrong with this field, unless the sentence names one itself."""
    try:
        yield
    except BadInput as bad:
        raise BadInput(str(bad), bad.problems or [Problem(path, str(bad))]) from bad
