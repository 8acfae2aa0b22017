"""The fuzzed relay. Its parts come from the web tests' harness, a folder away."""

import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "web"))

from fuzz_scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene.opened() as scene:
        yield scene
