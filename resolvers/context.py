"""What every use case is given."""

from dataclasses import dataclass, field

from domain.actors import Actor
from registries.oci.client import Client
from registries.oidc import Keys
from resolvers.feed import Feed
from resolvers.vault import Vault
from storage.database import Database


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
