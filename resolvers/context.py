"""What every use case is given."""

from dataclasses import dataclass

from domain.actors import Actor
from resolvers.feed import Feed
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the live events, and who asks."""

    db: Database
    feed: Feed
    actor: Actor
