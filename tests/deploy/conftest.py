"""Where the files are that the tests of deploy/ look at."""

import asyncio
from pathlib import Path

import pytest
from dockerfile_reader import Dockerfile

ROOT = Path(__file__).resolve().parents[2]


# looptime asks for the current event loop in tests that are not asynchronous, too. Python up to 3.13 answers by making
# one, which nobody closes, unless it has been told that there is none.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def dockerfile() -> Dockerfile:
    return Dockerfile.parse((ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
