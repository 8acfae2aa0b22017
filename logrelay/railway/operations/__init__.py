"""The GraphQL documents, one file each; a test validates them against Railway's real schema."""

import functools
import importlib.resources

from gql import gql
from gql.graphql_request import GraphQLRequest


@functools.cache
def _parsed(name: str) -> GraphQLRequest:
    text = importlib.resources.files(__package__).joinpath(f"{name}.graphql").read_text(encoding="utf-8")
    return gql(text)


def request(name: str, variables: dict[str, object]) -> GraphQLRequest:
    """The request of a document by its name, with its variables. Documents are read and parsed once."""
    return GraphQLRequest(_parsed(name).document, variable_values=variables, operation_name=name)
