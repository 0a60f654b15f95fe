"""The definitions of a document: its operations, and its fragments in order."""

from graphlib import TopologicalSorter

from graphql import DocumentNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

Definition = OperationDefinitionNode | FragmentDefinitionNode


def in_order(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments by name, each behind those that it spreads; raises CycleError if there is no such order."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    order = TopologicalSorter({name: _spread_by(fragment) for name, fragment in fragments.items()}).static_order()
    return {name: fragments[name] for name in order if name in fragments}


def name_of(definition: Definition) -> str | None:
    """What it is called, unless it is an operation without a name."""
    return definition.name.value if definition.name else None


def _spread_by(fragment: FragmentDefinitionNode) -> set[str]:
    names, below = set[str](), [fragment.selection_set]
    while below:
        for selection in below.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                names.add(selection.name.value)
            elif inner := getattr(selection, "selection_set", None):
                below.append(inner)
    return names
