"""What a subscription's field answers with: a stream, and how each thing that it tells is shown."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from resolvers.streams import Stream

Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Following(Generic[Shown]):
    """A source stream in the sense of GraphQL's specification; who is subscribed to it shares what is executed of it."""

    stream: Stream[Any]
    shown: Callable[[Any], Shown]

    def __aiter__(self) -> AsyncIterator[Shown]:
        raise TypeError("a stream is followed in a group, which executes each thing that it tells once")
