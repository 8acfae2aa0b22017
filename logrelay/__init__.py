"""Relays the logs of a Railway environment, live, to any number of browsers."""

__version__ = "0.1.0"
