"""What every use case is given."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from domain.actors import Actor
from domain.audit import Action
from registries.oci.client import Client
from registries.oidc import Keys
from resolvers.changing import Change, changing
from resolvers.feed import Feed
from resolvers.load import Load
from resolvers.vault import Vault
from resolvers.watches import Watches
from storage.database import Database

AWAY: tuple[type[Exception], ...] = Database.unavailable
"""What is raised where the database is away or too busy: whoever asked need only try again."""


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the live events, who asks, and for what reaches beyond: kept secrets and the way to registries."""

    db: Database
    feed: Feed
    actor: Actor
    vault: Vault = field(default_factory=Vault)
    registries: Client | None = None
    """None where registries are not asked."""
    google: Keys | None = None
    """What Google signs its tokens with; None where nobody looks."""
    load: Load = field(default_factory=Load)
    """Of this process."""
    request_id: str | None = None
    """What the log and the answer call the request."""
    watches: Watches = field(default_factory=Watches)
    """What somebody watches in this process."""

    def changing(self, action: Action) -> AbstractAsyncContextManager[Change]:
        """A transaction in which the actor, who must be allowed to, does this; what it changes goes on record with it."""
        return changing(self.db, self.actor, action, self.request_id)
