"""The two halves of a subscription: its source is made for each who asks, and each event is executed once for all who ask the same.

GraphQL's specification calls them CreateSourceEventStream and ExecuteSubscriptionEvent (6.2.3).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import ExecutionResult as Result
from graphql import FieldNode, FragmentDefinitionNode, Node, OperationDefinitionNode, SelectionNode, VariableNode, Visitor, visit
from graphql.execution import execute_subscription_event
from strawberry.types import ExecutionResult

from schema.errors import log_ours, translate
from schema.execution import PlainExecutor
from schema.following import Following
from schema.session import Session


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription that somebody may have."""

    following: Following[Any]
    prepare: Callable[[], Any]
    """An executor; not the one that made the source, which takes 3.4 kB for each subscriber, while one of a group is enough."""
    selection: Hashable
    """What is selected of each event; those of which it is equal are answered alike, as far as they may see the same."""
    points: int
    """What an event costs."""

    def execution(self) -> "Execution":
        """What answers to each event, for all who asked the same."""
        return Execution(self.prepare(), self.following.shown)


@dataclass(frozen=True, slots=True)
class Execution:
    """What answers to each event of a subscription."""

    executor: Any
    shown: Callable[[Any], Any]

    async def execute(self, value: Any, session: Session) -> ExecutionResult:
        """The answer to one thing that the stream tells, with errors as clients see them."""
        executor = self.executor.build_per_event_executor(self.shown(value))
        executor.context_value = session
        executed = execute_subscription_event(executor)
        result: Result = await executed if executor.is_awaitable(executed) else executed  # type: ignore[assignment,misc]
        log_ours(result.errors or (), session.request_id)
        return translate(ExecutionResult(result.data, result.errors), session.ctx.actor)


def selection(text: str, executor: PlainExecutor, variables: Mapping[str, Any] | None) -> Hashable:
    """What decides what an event is answered with: the document, and the variables that do more than to say what is followed."""
    used = _used(executor.operation, executor.fragment_definitions.values())
    given = {name: value for name, value in (variables or {}).items() if name in used}
    # As text, which is as long as it is: orjson's bytes keep 4 kB each.
    told = orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode()
    return text, executor.operation.name and executor.operation.name.value, told


def _used(operation: OperationDefinitionNode, fragments: Iterable[FragmentDefinitionNode]) -> frozenset[str]:
    """The variables that are used anywhere but as arguments of the root; found once, and kept with the operation."""
    kept = vars(operation)
    if "used" not in kept:
        looking = _Variables()
        for node in [*(operation.directives or ()), *fragments, *_below(operation.selection_set.selections)]:
            visit(node, looking)
        kept["used"] = frozenset(looking.names)
    used: frozenset[str] = kept["used"]
    return used


def _below(roots: Iterable[SelectionNode]) -> Iterable[Node]:
    for root in roots:
        if isinstance(root, FieldNode):
            yield from root.directives or ()
            if root.selection_set:
                yield root.selection_set
        else:
            yield root


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)
