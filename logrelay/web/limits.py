"""Limits of one connection's conversation, with their units."""

import attrs


@attrs.frozen
class ClientLimits:
    """Times of one connection in seconds, and how much nonsense it may talk."""

    heartbeat: float = 25.0
    ping: float = 54.0
    silence: float = 60.0
    grace: float = 1.0  # after a stall of our own loop, what has arrived must be read before anyone is judged
    moment: float = 0.25  # an upstream that takes longer is announced as `connecting`
    invalid_messages: int = 10
