import importlib.resources
from importlib.resources.abc import Traversable

import pytest
from graphql import build_schema, validate

from logrelay.railway import operations

FOLDER = importlib.resources.files("logrelay.railway.operations")
NAMES = sorted(
    file.name.removesuffix(".graphql") for file in FOLDER.iterdir() if file.name.endswith(".graphql")
)
SDL: Traversable = importlib.resources.files("logrelay.standin").joinpath("schema.graphql")
SCHEMA = build_schema(SDL.read_text(encoding="utf-8"))


def test_there_are_documents() -> None:
    assert len(NAMES) == 6


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_valid_against_railways_schema(name: str) -> None:
    document = operations.request(name, {}).document

    assert validate(SCHEMA, document) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_named_like_its_operation(name: str) -> None:
    request = operations.request(name, {"a": 1})

    (definition,) = request.document.definitions
    assert definition.name.value == name  # type: ignore[attr-defined]
    assert request.payload["operationName"] == name
    assert request.payload["variables"] == {"a": 1}
