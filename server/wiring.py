"""What requests find behind them, put together once in create_app."""

from dataclasses import dataclass
from typing import Self

from starlette.requests import HTTPConnection

from domain.actors import Actor
from resolvers.context import Context
from resolvers.feed import Feed
from server.settings import Settings
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Wiring:
    """The long-lived parts of one process."""

    settings: Settings
    db: Database
    feed: Feed

    @classmethod
    def of(cls, request: HTTPConnection) -> Self:
        """The parts behind this request."""
        wiring = request.app.state.wiring
        assert isinstance(wiring, cls)
        return wiring

    def context(self, actor: Actor) -> Context:
        """What a use case is given when this actor asks."""
        return Context(self.db, self.feed, actor)
