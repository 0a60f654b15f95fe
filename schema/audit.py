"""What operators did, as administrators see it."""

from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry.scalars import JSON

from domain import audit as domain
from domain.audit import Subject
from domain.errors import BadInput
from domain.ids import EntryId
from domain.trails import Trace
from resolvers import audit, tokens
from schema.arguments import WHICH
from schema.enums import Action, SubjectKind
from schema.nodes import Node, node_id, parts
from schema.paging import DEFAULT, LAST, After, Connection, First, Key, numbered, paged
from schema.resuming import PLACE, Since, or_expired, resume
from schema.session import Info

if TYPE_CHECKING:
    from schema.tokens import Token


@strawberry.type(description="One thing that an operator did: it stands here if it was done, and only then.")
class AuditEntry(Node):
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="Who, by the name of the token.")
    action: Action = strawberry.field(description="What.")
    subject_kind: SubjectKind = strawberry.field(description="To what kind of thing.")
    subject_key: str = strawberry.field(description="To which: its number; of a device its uuid, of a registry its host.")
    details: JSON = strawberry.field(description="The particulars; never a secret.")
    request_id: str | None = strawberry.field(description="The `X-Request-ID` of the request, as the server's log has it too.")
    source: strawberry.Private[domain.Entry]

    @classmethod
    def of(cls, entry: domain.Entry) -> Self:
        return cls(
            id=node_id("AuditEntry", entry.id),
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject_kind=entry.subject.type,
            subject_key=entry.subject.key,
            details=JSON(entry.details),
            request_id=entry.request_id,
            source=entry,
        )

    @strawberry.field(description="To which; null if it is not there any more.")
    async def subject(self, info: Info) -> Node | None:
        from schema.lookup import find

        return await find(info, self.source.subject.type, self.source.subject.key)

    @strawberry.field(description="The token it was done with.")
    async def token(self, info: Info) -> Annotated["Token", strawberry.lazy("schema.tokens")] | None:
        from schema.tokens import Token

        found = await info.context.follow(tokens.many, self.source.token)
        return Token.of(found) if found else None


NEWEST: Key[domain.Entry, int] = numbered(LAST, lambda entry: entry.id)


async def trail(info: Info, subject: Subject, first: int | None, after: str | None) -> Connection[AuditEntry]:
    """What was done to one thing."""

    async def read(before: int, limit: int) -> Any:
        return await info.context.load(audit.of_subjects, subject, EntryId(before), limit)

    async def count() -> int:
        return await info.context.load(audit.count_of_subjects, subject) or 0

    return await paged(first, after, NEWEST, read, AuditEntry.of, count)


@strawberry.input(description="Which entries are meant; what is left out asks nothing.")
class AuditFilterInput:
    actor: str | None = strawberry.field(description="Of whoever has a token of this name.", default=None)
    action: Action | None = strawberry.field(description="That did this.", default=None)
    subject: strawberry.ID | None = strawberry.field(description="Done to what has this id.", default=None)
    since: datetime | None = strawberry.field(description="Not before.", default=None)
    until: datetime | None = strawberry.field(description="Before.", default=None)

    def wanted(self) -> domain.AuditFilter:
        return domain.AuditFilter(
            actor=self.actor,
            action=None if self.action is None else Action(self.action),
            subject=None if self.subject is None else _subject(self.subject),
            since=self.since,
            until=self.until,
        )


def _subject(id: str) -> Subject:  # noqa: A002 – GraphQL's word
    kind, key = parts(id)
    if kind not in set(SubjectKind):
        raise BadInput(f"filter.subject: nothing is ever done to a {kind}")
    return Subject(SubjectKind(kind), key)


@strawberry.type
class AuditQuery:
    @strawberry.field(description="What operators did, newest first. For administrators.")
    async def audit(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[AuditFilterInput | None, strawberry.argument(description="Which are meant; null is all.")] = None,  # noqa: A002
    ) -> Connection[AuditEntry]:
        wanted = (filter or AuditFilterInput()).wanted()

        async def read(before: int, limit: int) -> Any:
            return await audit.page(info.context.ctx, wanted, EntryId(before), limit)

        async def count() -> int:
            return await audit.count(info.context.ctx, wanted)

        return await paged(first, after, NEWEST, read, AuditEntry.of, count)


@strawberry.type(description="That an operator did something, and its place among all that happened.")
class AuditRecord:
    cursor: str = strawberry.field(description=PLACE)
    entry: AuditEntry = strawberry.field(description="What was done.")

    @classmethod
    def of(cls, trace: Trace[domain.Entry]) -> Self:
        return cls(cursor=str(trace.cursor), entry=AuditEntry.of(trace.of))


@strawberry.type
class AuditSubscription:
    @strawberry.subscription(
        description="What operators do: from now on, or from where a cursor left off. At least once. For administrators."
    )
    async def audit(
        self,
        info: Info,
        filter: Annotated[AuditFilterInput | None, WHICH] = None,  # noqa: A002 – GraphQL's word
        after: Since = None,
    ) -> AsyncIterable[or_expired(AuditRecord, "AuditResult")]:  # type: ignore[valid-type]
        wanted = (filter or AuditFilterInput()).wanted()
        return await resume(info, audit.stream, wanted, after, AuditRecord.of)
