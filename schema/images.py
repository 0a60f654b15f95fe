"""Images, their repositories and tags, as a client sees them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import images as domain
from domain import repositories as of_repositories
from domain.ids import PushId
from resolvers import pushes, repositories
from schema.nodes import Node, node_id
from schema.paging import DEFAULT, After, Connection, First, Key, named, paged
from schema.scalars import Digest, ImageReference
from schema.session import Info

if TYPE_CHECKING:
    from schema.pushes import Push


@strawberry.type(description="An image, by its name.")
class Image:
    reference: ImageReference = strawberry.field(description="All of it, as people write it and devices are told it.")
    name: str = strawberry.field(description="Its repository, as people write it.")
    tag: str | None = strawberry.field(description="Its tag.")
    digest: Digest | None = strawberry.field(description="Its digest, when that is known.")
    source: strawberry.Private[domain.Image]

    @classmethod
    def of(cls, image: domain.Image) -> Self:
        return cls(
            reference=ImageReference(str(image)),
            name=image.name,
            tag=image.tag,
            digest=None if image.digest is None else Digest(image.digest),
            source=image,
        )

    @strawberry.field(description="The repository it is in.")
    def repository(self) -> Annotated["Repository", strawberry.lazy("schema.images")]:
        return Repository.of(self.source.repository)


@strawberry.type(description="A tag that somebody pushed.")
class Tag(Node):
    name: str = strawberry.field(description="The tag.")
    digest: Digest | None = strawberry.field(description="What it was when it was heard of last; null if nobody said.")
    first_heard_at: datetime = strawberry.field(description="When it was heard of first.")
    heard_at: datetime = strawberry.field(description="When it was heard of last.")

    @classmethod
    def of(cls, tag: of_repositories.HeardTag) -> Self:
        return cls(
            id=node_id("Tag", f"{tag.repository}:{tag.tag}"),
            name=tag.tag,
            digest=None if tag.digest is None else Digest(tag.digest),
            first_heard_at=tag.first_at,
            heard_at=tag.heard_at,
        )


@strawberry.type(description="All images of one name: those that devices run, that were pushed, or that operators judged.")
class Repository(Node):
    name: str = strawberry.field(description="As people write it: `nginx`, `ghcr.io/acme/app`.")
    key: strawberry.Private[str]

    @classmethod
    def of(cls, repository: str) -> Self:
        return cls(id=node_id("Repository", repository), name=domain.Image.parse(repository).name, key=repository)

    @strawberry.field(description="Its tags that were heard of, by name.")
    async def tags(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Tag]:
        async def read(place: str, limit: int) -> Any:
            return await info.context.load(repositories.tags_of, self.key, place, limit)

        async def count() -> int:
            return await info.context.load(repositories.count_tags_of, self.key) or 0

        return await paged(first, after, TAGS, read, Tag.of, count)

    @strawberry.field(description="What was pushed to it, newest first.")
    async def pushes(
        self, info: Info, first: First = DEFAULT, after: After = None
    ) -> Connection[Annotated["Push", strawberry.lazy("schema.pushes")]]:
        from schema.pushes import NEWEST, Push

        async def read(before: int, limit: int) -> Any:
            return await info.context.load(pushes.of_repositories, self.key, PushId(before), limit)

        async def count() -> int:
            return await info.context.load(pushes.count_of_repositories, self.key) or 0

        return await paged(first, after, NEWEST, read, Push.of, count)


TAGS: Key[of_repositories.HeardTag, str] = named(lambda tag: tag.tag)
REPOSITORIES: Key[str, str] = named(lambda repository: repository)


@strawberry.type
class ImageQuery:
    @strawberry.field(description="Every repository that is heard of, by its full name.")
    async def repositories(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        search: Annotated[str | None, strawberry.argument(description="Only those with this in their name.")] = None,
    ) -> Connection[Repository]:
        async def read(place: str, limit: int) -> Any:
            return await repositories.page(info.context.ctx, place, limit, search)

        async def count() -> int:
            return await repositories.count(info.context.ctx, search)

        return await paged(first, after, REPOSITORIES, read, Repository.of, count)

    @strawberry.field(description="One repository, by its name as people write it.")
    async def repository(
        self, name: Annotated[str, strawberry.argument(description="Such as `nginx` or `ghcr.io/acme/app`.")]
    ) -> Repository:
        return Repository.of(domain.Image.parse(name).repository)
