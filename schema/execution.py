"""Execution that is fast where everything is plain: objects whose fields are attributes, and what holds nothing else.

graphql-core asks of each field of each object who resolves it, with which arguments, whether it has to be awaited, and of what type it is:
some 3 us a leaf. Here that is asked once for a selection, and not again for as long as its document is kept. Whatever turns out not to be
plain, and all that fails, goes the general way, so that errors are graphql-core's own.

@defer and @stream are unknown to our schema, and so to what is written here.
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Self

from graphql import (
    DirectiveNode,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    Node,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    visit,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.plain import LISTS, Complete, PlainField, attribute, belongs_to, leaf, must


class Selections:
    """What was learned of the selections of an operation."""

    def __init__(self) -> None:
        self.roots: dict[GraphQLObjectType, GroupedFieldSet] = {}
        # By identity, as graphql-core does it; who is meant is kept beside, so that no other comes to have the same.
        self.sub_fields: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.plain: dict[int, tuple[GroupedFieldSet, list[PlainField]]] = {}

    @classmethod
    def of(cls, operation: OperationDefinitionNode, fragments: Iterable[Node]) -> Self:
        """Kept with the operation, and gone with it, unless variables decide what it selects."""
        # In the node itself: as the key of a dictionary it would be hashed with all that is in it.
        kept: dict[str, Self | None] = vars(operation)
        if "selections" not in kept:
            kept["selections"] = None if _vary([operation, *fragments]) else cls()
        return kept["selections"] or cls()


class PlainExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, to be given to a schema as its `execution_context_class`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._selections = Selections.of(self.operation, self.fragment_definitions.values())
        self._relevant_sub_fields = self._selections.sub_fields
        self._is_watched = bool(self.middleware_manager and self.middleware_manager.middlewares)

    def execute_collected_root_fields(
        self, root_type: GraphQLObjectType, root_value: Any, grouped_field_set: GroupedFieldSet, *args: Any
    ) -> Any:
        """Execute the same group each time, since by its identity is known what lies below."""
        known = self._selections.roots.setdefault(root_type, grouped_field_set)
        return super().execute_collected_root_fields(root_type, root_value, known, *args)

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """Read what is plain; the rest, and what could not be read after all, is executed."""
        read = _read(self._plain_fields(parent_type, grouped_field_set), source_value)
        if len(read) == len(grouped_field_set):
            return read
        rest = {name: details for name, details in grouped_field_set.items() if name not in read}
        executed = super().execute_fields(parent_type, source_value, path, rest, position_context)
        return _together(grouped_field_set, read, executed) if read else executed

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Complete a list at once if all that is in it is plain."""
        complete = self._completer(item_type, field_details_list) if type(items) in LISTS and not self._is_watched else None
        if complete is not None:
            try:
                return [complete(item) for item in items]
            except Exception:  # noqa: S110 – below it is raised again, at its place
                pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _plain_fields(self, parent_type: GraphQLObjectType, group: GroupedFieldSet) -> list[PlainField]:
        """Which of these fields are plain, in their order; found once."""
        if self._is_watched:
            return []
        known = self._selections.plain.get(id(group))
        if known is None:
            found = [field for name, details in group.items() if (field := self._plain_field(parent_type, name, details)) is not None]
            known = self._selections.plain[id(group)] = (group, found)
        return known[1]

    def _plain_field(self, parent_type: GraphQLObjectType, name: str, details: FieldDetailsList) -> PlainField | None:
        asked = details[0].node.name.value
        if asked == "__typename":
            return PlainField(name, "__class__", lambda _: parent_type.name)  # of an attribute that everything has
        field = self.schema.get_field(parent_type, asked)
        source = None if field is None else attribute(field)
        complete = None if field is None or source is None else self._completer(field.type, details)
        return None if source is None or complete is None else PlainField(name, source, complete)

    def _completer(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Complete | None:
        """What completes a value of this type, if everything that is selected of it is plain."""
        if is_non_null_type(type_):
            return self._of_something(type_.of_type, details)
        complete = self._of_something(type_, details)
        return None if complete is None else lambda value: None if value is None else complete(value)

    def _of_something(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Complete | None:
        if is_leaf_type(type_):
            return leaf(type_)
        if is_list_type(type_):
            return self._of_list(type_, details)
        return self._of_object(type_, details) if is_object_type(type_) else None

    def _of_list(self, type_: GraphQLList[Any], details: FieldDetailsList) -> Complete | None:
        of_item = self._completer(type_.of_type, details)
        if of_item is None:
            return None

        def complete(items: Any) -> list[Any]:
            must(type(items) in LISTS)
            return [of_item(item) for item in items]

        return complete

    def _of_object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Complete | None:
        group = self.collect_subfields(type_, details).grouped_field_set
        fields, belongs = self._plain_fields(type_, group), belongs_to(type_)
        if belongs is None or len(fields) < len(group):
            return None

        def complete(source: Any) -> dict[str, Any]:
            must(belongs(source))
            return {name: of_field(getattr(source, attribute)) for name, attribute, of_field in fields}

        return complete


def _read(fields: list[PlainField], source: Any) -> dict[str, Any]:
    """What could be read of these."""
    read = {}
    for name, source_attribute, complete in fields:
        try:
            read[name] = complete(getattr(source, source_attribute))
        except Exception:  # noqa: S112 – it is raised again where the field is executed
            continue
    return read


def _together(group: GroupedFieldSet, read: dict[str, Any], executed: Awaitable[dict[str, Any]] | dict[str, Any]) -> Any:
    """What was read and what was executed, in the order in which it was asked for."""
    if isinstance(executed, dict):
        return _in_order(group, read | executed)

    async def awaited() -> dict[str, Any]:
        return _in_order(group, read | await executed)

    return awaited()


def _in_order(group: GroupedFieldSet, results: dict[str, Any]) -> dict[str, Any]:
    return {name: results[name] for name in group if name in results}


class _Variables(Visitor):
    """Looks for variables in directives, as in `@skip(if: $short)`."""

    found = False

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.found = self.found or any(isinstance(argument.value, VariableNode) for argument in node.arguments or ())


def _vary(nodes: Iterable[Node]) -> bool:
    """Whether variables decide what these select."""
    looking = _Variables()
    for node in nodes:
        visit(node, looking)
    return looking.found
