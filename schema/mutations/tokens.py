"""What can be done with tokens."""

from datetime import datetime

import strawberry

from domain import tokens as domain
from domain.actors import Permission
from domain.ids import TokenId
from resolvers import tokens
from schema.enums import Role
from schema.mutations.inputs import ChangeInput, CreateInput
from schema.nodes import number_of
from schema.results import mutation
from schema.session import Info
from schema.tokens import Token


@strawberry.input(description="A token for somebody, or for a program.")
class CreateTokenInput(CreateInput):
    name: str = strawberry.field(description="Who will hold it, as histories name them.")
    role: Role = strawberry.field(description="What it is for.", default=Role.OPERATOR)
    expires_at: datetime | None = strawberry.field(description="From when on it opens nothing; null is never.", default=None)

    def wanted(self) -> domain.Wanted:
        return domain.Wanted(name=self.name, role=Role(self.role), expires_at=self.expires_at)


@strawberry.input(description="Which token to revoke.")
class RevokeTokenInput(ChangeInput):
    pass


@strawberry.type(description="What was made.")
class CreateTokenPayload:
    token: Token = strawberry.field(description="What is kept of it.")
    secret: str | None = strawberry.field(
        description="What to send as `Authorization: Bearer …`. It is shown this once: null if this `idempotencyKey` was answered before."
    )


@strawberry.type(description="What became of it.")
class RevokeTokenPayload:
    token: Token = strawberry.field(description="The token as it is now.")


@strawberry.type
class TokenMutation:
    @mutation("Make a token. It is shown this once. For administrators.", Permission.ADMINISTER)
    async def create_token(self, info: Info, input: CreateTokenInput) -> CreateTokenPayload:  # noqa: A002
        made, secret = await tokens.create(info.context.ctx, input.wanted(), idempotency_key=input.idempotency_key)
        return CreateTokenPayload(token=Token.of(made), secret=secret)

    @mutation("Have a token open nothing any more, from now on. For administrators.", Permission.ADMINISTER)
    async def revoke_token(self, info: Info, input: RevokeTokenInput) -> RevokeTokenPayload:  # noqa: A002
        token = TokenId(number_of(input.id, "Token"))
        return RevokeTokenPayload(token=Token.of(await tokens.revoke(info.context.ctx, token, expected_version=input.expected_version)))
