"""What an operation costs is looked at before it is executed, and taken from what its caller may spend."""

from collections.abc import Iterator
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from domain.actors import Actor
from domain.errors import Limited
from schema.costs import MOST_POINTS, cost
from schema.definitions import name_of
from schema.limits import check_cost

# What a document costs that is refused: it was looked at, and its sender has not paid for that.
INVALID = 100
# What comes before: to find the tokens in 100,000 characters takes up to 40 ms, whatever they say. Up to LONG nothing is charged for that.
LONG, CHARACTERS_A_POINT = 2_000, 25


class Budgeted(SchemaExtension):
    """Refuses what costs too much, or more than is left to the caller; says in each answer what it took and what is left.

    A subscription pays when it begins, and for each event. To stand behind what validates documents, if anything does.
    """

    def __init__(self) -> None:
        self._spent: dict[str, int] | None = None

    def on_validate(self) -> Iterator[None]:
        """Spend before executing; not in on_execute, whose errors a WebSocket is told as if they were events of the subscription."""
        context = self.execution_context
        if context.pre_execution_errors is None and context.graphql_document is not None:
            context.pre_execution_errors = validate_document(context.schema._schema, context.graphql_document, context.validation_rules)
        try:
            if context.pre_execution_errors:
                charge(context.context, INVALID)
            else:
                self._spent = self._spend()
        except GraphQLError as refused:
            context.pre_execution_errors = [refused]
        yield

    def get_results(self) -> dict[str, Any]:
        """What is said beside the answer, and not again beside those that follow."""
        spent, self._spent = self._spent, None
        return {} if spent is None else {"cost": spent}

    def _spend(self) -> dict[str, int] | None:
        """Charge the caller; None where nobody counts."""
        context = self.execution_context
        document, operation = context.graphql_document, context.operation_name
        assert document is not None, "it was validated"
        points = cost(context.schema._schema, document, operation, context.variables)
        if points > MOST_POINTS:
            check_cost(_operation(document, operation), points)
        return charge(context.context, max(1, points))


def reading(text: str) -> int:
    """What it costs to read a document that is longer than most are."""
    return max(0, len(text) - LONG) // CHARACTERS_A_POINT


def charge(session: Any, points: int) -> dict[str, int] | None:
    """Take points from the caller's budget, and what is left; None where nobody counts. Raises an error with the code RATE_LIMITED."""
    if session.budget is None:
        return None
    try:
        left = session.budget.charge(payer(session.ctx.actor), points)
    except Limited as limited:
        raise GraphQLError(str(limited), extensions={"code": "RATE_LIMITED", "retryAfterSeconds": limited.retry_after}) from limited
    return {"requested": points, "limit": left.limit, "remaining": left.remaining, "resetSeconds": left.reset_seconds}


def payer(actor: Actor) -> str:
    """Who pays: each token for itself, whatever it is called."""
    return actor.name if actor.token is None else f"token {actor.token}"


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode) and name_of(node) == name)
