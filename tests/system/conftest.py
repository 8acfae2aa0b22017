"""The fixtures of the system tests; what they are made of stands in conftest_system."""

from conftest_system import _nothing_left, railway, relay, world

__all__ = ["_nothing_left", "railway", "relay", "world"]
