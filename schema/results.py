"""What a mutation answers: its payload, or, as data, why it changed nothing."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Union

import strawberry

from domain.actors import Permission
from domain.errors import BadInput, Conflict, IllegalMove, KeyReused, NotFound, Problem, Refused, StaleVersion
from schema.described import enum
from schema.session import Info


class ErrorCode(StrEnum):
    """What stood in the way, for programs; these names never change."""

    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    ILLEGAL_MOVE = "ILLEGAL_MOVE"
    STALE_VERSION = "STALE_VERSION"
    KEY_REUSED = "KEY_REUSED"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"


enum(
    ErrorCode, "ErrorCode", "What stood in the way; these names never change.",
    {
        ErrorCode.INVALID_INPUT: "Something in the input makes no sense, or is out of its range.",
        ErrorCode.NOT_FOUND: "What the input names does not exist.",
        ErrorCode.CONFLICT: "What is there now does not allow it.",
        ErrorCode.ILLEGAL_MOVE: "The rollout is in a state in which it cannot be asked for that.",
        ErrorCode.STALE_VERSION: "It has changed since `expectedVersion`: read it again.",
        ErrorCode.KEY_REUSED: "The same `idempotencyKey` came with another request before.",
        ErrorCode.CURSOR_EXPIRED: "Not everything that happened after the cursor is kept any more.",
    },
)  # fmt: skip


@strawberry.interface(description="Why it was not done.")
class Error:
    code: ErrorCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="For people.")


@strawberry.type(description="One field of an input, and what is wrong with it.")
class InputProblem:
    path: list[str] = strawberry.field(description="Where it is, from the input down, as in `stages`, `0`, `devices`.")
    message: str = strawberry.field(description="What is wrong with it.")

    @classmethod
    def of(cls, problem: Problem) -> "InputProblem":
        return cls(path=list(problem.path), message=problem.message)


@strawberry.type(description="Something in the input makes no sense, or is out of its range.")
class InvalidInputError(Error):
    problems: list[InputProblem] = strawberry.field(description="Field by field, as far as single fields are to blame.")


@strawberry.type(description="What the input names does not exist.")
class NotFoundError(Error):
    pass


@strawberry.type(description="What is there now does not allow it.")
class ConflictError(Error):
    current_version: int | None = strawberry.field(description="With STALE_VERSION the version that it has now.")


def as_data(refused: Refused) -> Error | None:
    """What a client is told of what it may have caused; None for what is an error of the operation (schema/errors.py)."""
    match refused:
        case BadInput():
            problems = [InputProblem.of(problem) for problem in refused.problems]
            return InvalidInputError(code=ErrorCode.INVALID_INPUT, message=str(refused), problems=problems)
        case NotFound():
            return NotFoundError(code=ErrorCode.NOT_FOUND, message=str(refused))
        case Conflict():
            current = refused.current if isinstance(refused, StaleVersion) else None
            return ConflictError(code=_CONFLICTS.get(type(refused), ErrorCode.CONFLICT), message=str(refused), current_version=current)
        case _:
            return None


_CONFLICTS = {IllegalMove: ErrorCode.ILLEGAL_MOVE, StaleVersion: ErrorCode.STALE_VERSION, KeyReused: ErrorCode.KEY_REUSED}


class _AsData:
    """Strawberry asks which of the union's types a handler makes: there is one for each."""

    def __init__(self, exception: type[Refused], error: type[Error]) -> None:
        self.exception_type, self.error_type = exception, error

    def handle(self, exception: Refused, *, field: Any, info: Any) -> Any:
        return as_data(exception)


HANDLERS = [_AsData(BadInput, InvalidInputError), _AsData(NotFound, NotFoundError), _AsData(Conflict, ConflictError)]
"""What becomes data; what else is refused is an error of the operation (schema/errors.py)."""


def or_error(payload: type, name: str) -> Any:
    """The union of a payload and the errors that are data, under this name."""
    union = strawberry.union(name, description=f"{payload.__name__}, or why there is none.")
    return Annotated[Union[payload, InvalidInputError, NotFoundError, ConflictError], union]  # noqa: UP007 – of values


def mutation(description: str, permission: Permission = Permission.OPERATE) -> Callable[[Callable[..., Any]], Any]:
    """A mutation that answers its payload `XPayload`: clients see `XResult`, which may also be an error.

    Whoever may not is told so before anything is said of his input.
    """

    def field(resolver: Callable[..., Any]) -> Any:
        async def permitted(self: Any, info: Info, input: Any) -> Any:  # noqa: A002 – GraphQL's word
            info.context.ctx.actor.must(permission)
            return await resolver(self, info, input)

        said = resolver.__annotations__
        payload = said["return"]
        permitted.__name__ = resolver.__name__
        permitted.__annotations__ = {
            **said,
            "return": or_error(payload, payload.__name__.removesuffix("Payload") + "Result"),
            "input": Annotated[said["input"], strawberry.argument(description="What is wanted.")],
        }
        return strawberry.mutation(permitted, description=description)

    return field
