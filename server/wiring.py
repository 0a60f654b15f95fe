"""What requests find behind them, put together once in create_app."""

from dataclasses import dataclass, replace
from typing import Self

from starlette.requests import HTTPConnection

from domain.actors import Actor
from resolvers.budget import Budget
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.polls import Polls
from resolvers.reports import Reports
from server.graphql.connections import Connections
from server.limits import Limits
from server.proxies import Proxies
from server.settings import Settings
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Wiring:
    """The long-lived parts of one process."""

    settings: Settings
    limits: Limits
    proxies: Proxies
    base: Context
    """What every use case is given, but for who asks."""
    polls: Polls
    reports: Reports
    budget: Budget
    """What each token may spend on GraphQL."""
    connections: Connections
    """Who holds streams."""

    @classmethod
    def of(cls, request: HTTPConnection) -> Self:
        """The parts behind this request."""
        wiring = request.app.state.wiring
        assert isinstance(wiring, cls)
        return wiring

    @property
    def db(self) -> Database:
        return self.base.db

    @property
    def feed(self) -> Feed:
        return self.base.feed

    def context(self, actor: Actor) -> Context:
        """What a use case is given when this actor asks."""
        return replace(self.base, actor=actor)
