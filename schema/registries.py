"""Registries that may be asked, and what is known of images, as a client sees them."""

from datetime import datetime
from typing import Self

import strawberry

from domain import registries as domain
from domain.catalogue import KnownImage as Known
from domain.polling import Polled
from schema.enums import Standing


@strawberry.type(description="A registry that may be asked: for the digest of a tag, for its tags, for signatures.")
class Registry:
    host: str = strawberry.field(description="As it stands in image names, with its port.")
    username: str | None = strawberry.field(description="The name it is asked under; null is nobody's. The password is never shown.")
    plain_http: bool = strawberry.field(description="Whether it is asked over HTTP, for want of TLS.")

    @classmethod
    def of(cls, registry: domain.Registry, username: str | None) -> Self:
        return cls(host=registry.host, username=username, plain_http=registry.plain_http)


@strawberry.type(description="What operators said of an image, or of a repository and whatever in it was not judged for itself.")
class KnownImage:
    id: strawberry.ID = strawberry.field(description="Names this entry.")
    name: str = strawberry.field(description="The image, with tag and digest as far as it was judged; of a repository, its bare name.")
    standing: Standing = strawberry.field(description="What was said.")
    requested_at: datetime = strawberry.field(description="When it was first asked for.")
    decided_at: datetime | None = strawberry.field(description="When it was said.")
    decided_by: str | None = strawberry.field(description="By whom.")
    remark: str | None = strawberry.field(description="What they added.")

    @classmethod
    def of(cls, known: Known) -> Self:
        return cls(
            id=strawberry.ID(str(known.id)),
            name=known.name,
            standing=known.standing,
            requested_at=known.requested_at,
            decided_at=known.decided_at,
            decided_by=known.decided_by,
            remark=known.remark,
        )


@strawberry.type(description="A repository whose registry is asked for new tags again and again, as a policy wants it.")
class PolledRepository:
    repository: str = strawberry.field(description="With its registry.")
    due_at: datetime = strawberry.field(description="When it is asked next.")
    asked_at: datetime | None = strawberry.field(description="When it last answered.")
    failures: int = strawberry.field(description="How often in a row it has not answered since.")
    problem: str | None = strawberry.field(description="Why it did not.")

    @classmethod
    def of(cls, polled: Polled) -> Self:
        return cls(
            repository=polled.repository, due_at=polled.due_at, asked_at=polled.asked_at, failures=polled.failures, problem=polled.problem
        )
