"""Tokens, as administrators see them."""

from datetime import datetime
from typing import Any, Self

import strawberry

from domain import tokens as domain
from domain.audit import Subject
from domain.ids import TokenId
from resolvers import tokens
from schema.arguments import ById, ByNumber
from schema.audit import AuditEntry, trail
from schema.enums import Role, SubjectKind
from schema.nodes import Node, node_id, number_asked
from schema.paging import DEFAULT, After, Connection, First, Key, numbered, paged
from schema.session import Info


@strawberry.type(description="What lets somebody use this API.")
class Token(Node):
    number: int = strawberry.field(description="What people call it by: tokens are counted from 1.")
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    name: str = strawberry.field(description="Who holds it, as histories name them.")
    role: Role = strawberry.field(description="What it is for.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who made it.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to a minute.")
    expires_at: datetime | None = strawberry.field(description="From when on it opens nothing; null is never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    key: strawberry.Private[TokenId]

    @classmethod
    def of(cls, token: domain.Token) -> Self:
        return cls(
            id=node_id("Token", token.id),
            number=token.id,
            version=token.version,
            name=token.name,
            role=token.role,
            created_at=token.created_at,
            created_by=token.created_by,
            last_used_at=token.last_used_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            key=token.id,
        )

    @strawberry.field(description="What was done to it, newest first.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.TOKEN, str(self.key)), first, after)


IN_ORDER: Key[domain.Token, int] = numbered(0, lambda token: token.id)


@strawberry.type
class TokenQuery:
    @strawberry.field(description="One token, by its id or its number. For administrators.")
    async def token(self, info: Info, id: ById = None, number: ByNumber = None) -> Token | None:  # noqa: A002 – GraphQL's word
        found = await info.context.load(tokens.many, TokenId(number_asked("Token", id, number)))
        return None if found is None else Token.of(found)

    @strawberry.field(description="All tokens, in the order they were made. For administrators.")
    async def tokens(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Token]:
        async def read(place: int, limit: int) -> Any:
            return await tokens.page(info.context.ctx, TokenId(place), limit)

        async def count() -> int:
            return await tokens.count(info.context.ctx)

        return await paged(first, after, IN_ORDER, read, Token.of, count)
