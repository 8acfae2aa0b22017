"""Documents, read against Railway's schema: parsed and validated once per text, then remembered."""

from __future__ import annotations

import functools
import importlib.resources
from typing import TYPE_CHECKING, Any

import attrs
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    build_schema,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from logrelay.standin.cuts import Plan, fields, fragments, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DocumentNode, GraphQLSchema

LOG_FIELDS = frozenset({"environmentLogs", "deploymentLogs", "buildLogs"})


@functools.cache
def railway_schema() -> GraphQLSchema:
    """Return the schema that lies beside this module (SCHEMA.md says where it is from)."""
    text = importlib.resources.files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8")
    return build_schema(text)


@attrs.frozen
class Document:
    """A document's text, read. Where `errors` has something, it can't be executed."""

    node: DocumentNode | None
    errors: list[GraphQLError]


@functools.lru_cache(maxsize=512)
def read_document(text: str) -> Document:
    """Parse and validate a document."""
    try:
        node = parse(text)
    except GraphQLError as error:
        return Document(None, [error])
    return Document(node, validate(railway_schema(), node))


@attrs.frozen
class Call:
    """One field of an operation's root: what is asked (arguments) and what shall be answered (plan)."""

    key: str  # its name in the answer
    name: str
    arguments: dict[str, Any]
    plan: Plan | None
    node: FieldNode


@attrs.frozen
class Operation:
    """One operation of a document with its variables, ready to be executed."""

    document: DocumentNode
    kind: str  # query, mutation or subscription
    name: str | None
    variables: dict[str, Any]
    calls: list[Call]

    @property
    def only_logs(self) -> bool:
        """Whether it asks for log rows and nothing else."""
        return all(call.name in LOG_FIELDS for call in self.calls)


def read_operation(document: DocumentNode, name: str | None, variables: Mapping[str, Any]) -> Operation:
    """Choose the operation and read its root fields; GraphQLError where a variable doesn't fit."""
    node = get_operation_ast(document, name)
    if node is None:
        raise GraphQLError(f'Unknown operation named "{name}".' if name else "Must provide operation name.")
    schema = railway_schema()
    values = get_variable_values(schema, node.variable_definitions or (), dict(variables))
    if not isinstance(values, VariableValues):
        raise values[0]
    root = schema.get_root_type(node.operation)
    if root is None:
        raise GraphQLError("Schema is not configured to execute this operation.", node)
    return Operation(
        document=document,
        kind=node.operation.value,
        name=node.name.value if node.name else None,
        variables=dict(variables),
        calls=_calls(document, node, root, values),
    )


def _calls(
    document: DocumentNode, node: OperationDefinitionNode, root: GraphQLObjectType, values: VariableValues
) -> list[Call]:
    known = fragments(document)
    calls = []
    for field in fields(node.selection_set, known, values):
        name = field.name.value
        definition = root.fields.get(name)  # __typename and __schema are no fields of the type
        calls.append(
            Call(
                key=field.alias.value if field.alias else name,
                name=name,
                arguments=get_argument_values(definition, field, values) if definition else {},
                plan=plan(field.selection_set, known, values) if name in LOG_FIELDS else None,
                node=field,
            )
        )
    return calls
