"""Registries that may be asked, and what is known of images, as a client sees them."""

from datetime import datetime
from typing import Annotated, Any, Self

import strawberry

from domain import catalogue as of_images
from domain import images as images_of
from domain import registries as domain
from domain.audit import Subject
from domain.polling import Polled
from resolvers import catalogue, polling, registries
from schema.arguments import WHICH
from schema.audit import AuditEntry, trail
from schema.enums import Standing, SubjectKind
from schema.images import Image, Repository
from schema.nodes import Node, node_id
from schema.paging import DEFAULT, LAST, After, Connection, First, Key, listed, numbered, paged
from schema.session import Info


@strawberry.type(description="A registry that may be asked: for the digest of a tag, for its tags, for signatures.")
class Registry(Node):
    host: str = strawberry.field(description="As it stands in image names, with its port.")
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    username: str | None = strawberry.field(description="The name it is asked under; null is nobody's. The password is never shown.")
    plain_http: bool = strawberry.field(description="Whether it is asked over HTTP, for want of TLS.")

    @classmethod
    def of(cls, registry: domain.Registry, username: str | None) -> Self:
        return cls(
            id=node_id("Registry", registry.host),
            host=registry.host,
            version=registry.version,
            username=username,
            plain_http=registry.plain_http,
        )

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.REGISTRY, self.host), first, after)


@strawberry.type(description="What operators said of an image, or of a repository and whatever in it was not judged for itself.")
class KnownImage(Node):
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    name: str = strawberry.field(description="The image, with tag and digest as far as it was judged; of a repository, its bare name.")
    image: Image | None = strawberry.field(description="The image; null where it is the whole repository.")
    repository: Repository = strawberry.field(description="The repository.")
    standing: Standing = strawberry.field(description="What was said.")
    requested_at: datetime = strawberry.field(description="When it was first asked for.")
    decided_at: datetime | None = strawberry.field(description="When it was said.")
    decided_by: str | None = strawberry.field(description="By whom.")
    remark: str | None = strawberry.field(description="What they added.")
    key: strawberry.Private[int]

    @classmethod
    def of(cls, known: of_images.KnownImage) -> Self:
        return cls(
            id=node_id("KnownImage", known.id),
            version=known.version,
            name=known.name,
            image=None if known.image is None else Image.of(known.image),
            repository=Repository.of(known.repository),
            standing=known.standing,
            requested_at=known.requested_at,
            decided_at=known.decided_at,
            decided_by=known.decided_by,
            remark=known.remark,
            key=known.id,
        )

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.KNOWN_IMAGE, str(self.key)), first, after)


@strawberry.type(description="A repository whose registry is asked for new tags again and again, as a policy wants it.")
class PolledRepository(Node):
    repository: Repository = strawberry.field(description="The repository.")
    due_at: datetime = strawberry.field(description="When it is asked next.")
    asked_at: datetime | None = strawberry.field(description="When it last answered.")
    failures: int = strawberry.field(description="How often in a row it has not answered since.")
    problem: str | None = strawberry.field(description="Why it did not.")

    @classmethod
    def of(cls, polled: Polled) -> Self:
        return cls(
            id=node_id("PolledRepository", polled.repository),
            repository=Repository.of(polled.repository),
            due_at=polled.due_at,
            asked_at=polled.asked_at,
            failures=polled.failures,
            problem=polled.problem,
        )


NEWEST: Key[of_images.KnownImage, int] = numbered(LAST, lambda known: known.id)


@strawberry.input(description="Which images are meant; what is left out asks nothing.")
class KnownImageFilterInput:
    standing: Standing | None = strawberry.field(description="Of which this was said.", default=None)
    repository: str | None = strawberry.field(description="Of this repository: `nginx`, `ghcr.io/acme/app`.", default=None)

    def wanted(self) -> of_images.KnownImageFilter:
        return of_images.KnownImageFilter(
            standing=None if self.standing is None else Standing(self.standing),
            repository=None if self.repository is None else images_of.Image.parse(self.repository).repository,
        )


@strawberry.type
class RegistryQuery:
    @strawberry.field(description="The registries that may be asked, by host.")
    async def registries(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Registry]:
        found = await registries.known(info.context.ctx)
        return listed(found, lambda known: known[0].host, first, after, lambda known: Registry.of(*known))

    @strawberry.field(description="The repositories whose registries are asked for new tags again and again, by name.")
    async def polled_repositories(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[PolledRepository]:
        found = await polling.page(info.context.ctx)
        return listed(found, lambda polled: polled.repository, first, after, PolledRepository.of)

    @strawberry.field(description="What is known of images, the newest request first.")
    async def known_images(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[KnownImageFilterInput | None, WHICH] = None,  # noqa: A002
    ) -> Connection[KnownImage]:
        wanted = (filter or KnownImageFilterInput()).wanted()

        async def read(before: int, limit: int) -> Any:
            return await catalogue.page(info.context.ctx, before, limit, wanted)

        async def count() -> int:
            return await catalogue.count(info.context.ctx, wanted)

        return await paged(first, after, NEWEST, read, KnownImage.of, count)
