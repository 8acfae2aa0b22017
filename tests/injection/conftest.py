"""The fixtures of the injection tests: those of the system tests, a folder away."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "system"))

from conftest_system import _nothing_left, railway, world

__all__ = ["_nothing_left", "railway", "world"]
