"""Documents against the fake's schema: are they sound, what do they cost, and what do they answer."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

MOST_POINTS = 10_000
"""What one query may cost."""

USUAL_PAGE = 50
"""Rows of a connection for which none were asked."""

MOST_ROWS = 250


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The schema, built once for all sandboxes of a process."""
    return build_schema(files(__package__).joinpath("schema.graphql").read_text("utf-8"))


@lru_cache(maxsize=256)
def checked(query: str) -> DocumentNode | list[GraphQLError]:
    """The document, or what is wrong with it."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return [error]
    return validate(schema(), document) or document


def run(
    document: DocumentNode, root: Mapping[str, Any], variables: Mapping[str, Any], name: str | None
) -> ExecutionResult:
    """Execute an operation; `root` holds a function for each root field."""
    return execute_sync(schema(), document, root_value=dict(root), variable_values=dict(variables), operation_name=name)


def points(document: DocumentNode, name: str | None, variables: Mapping[str, Any]) -> int:
    """What an operation costs: a tenth for each property, one for each object, and what is inside a connection once for
    each row asked for."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    chosen = [d for d in operations if name is None or (d.name and d.name.value == name)]
    return round(sum(_cost(d.selection_set, fragments, variables) for d in chosen[:1]) + 0.4999)


def _cost(
    chosen: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
) -> float:
    total = 0.0
    for node in chosen.selections:
        if isinstance(node, FragmentSpreadNode):
            total += _cost(fragments[node.name.value].selection_set, fragments, variables)
        elif isinstance(node, InlineFragmentNode):
            total += _cost(node.selection_set, fragments, variables)
        elif isinstance(node, FieldNode) and node.selection_set is None:
            total += 0.1
        elif isinstance(node, FieldNode) and node.selection_set is not None:
            total += (1 + _cost(node.selection_set, fragments, variables)) * _rows(node, variables)
    return total


def _rows(node: FieldNode, variables: Mapping[str, Any]) -> int:
    """How often what is inside a field counts: once for an object, for a connection as often as it has rows."""
    assert node.selection_set is not None
    inside = {child.name.value for child in node.selection_set.selections if isinstance(child, FieldNode)}
    if "nodes" not in inside:
        return 1
    for argument in node.arguments or ():
        if argument.name.value == "first":
            value = argument.value
            asked = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            asked = int(value.value) if isinstance(value, IntValueNode) else asked
            return USUAL_PAGE if asked is None else int(asked)
    return USUAL_PAGE
