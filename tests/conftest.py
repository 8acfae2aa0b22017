"""What every test shares."""

import asyncio

from hypothesis import settings

# How long an example takes is the machine's affair, which others may keep busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# looptime's plugin asks for the current event loop also in tests that are not async; up to Python 3.13 that makes a
# loop which nobody closes, unless it has been said that there is none.
asyncio.set_event_loop(None)
