"""What a feed may take. Numbers only; each may be turned down by a test."""

import attrs


@attrs.frozen
class FeedLimits:
    """What a feed may take, in seconds and records."""

    overlap: float = 30.0  # seconds that a resubscription reaches back
    seed: int = 5000  # records asked for at a cold start; at most pages.PAGE_SIZE
    remembered: int = 50_000  # identities; as many as the history holds
    fill_records: int = 100_000  # the largest hole that is fetched
    fill_seconds: float = 3600.0
    fill_patience: float = 15.0  # seconds that failures may take while a hole is fetched
    names_patience: float = 5.0  # seconds that the first records wait for names
    stands_after: float = 2.0  # without a frame and without an error
    reread: float = 60.0  # seconds between two looks at what the subscription may have passed over; 0: none
    reread_window: float = 120.0  # seconds that such a look reaches back
    stumbles: int = 3  # ends by a message that is too large, at one place, before that place is stepped over
    refused_tries: int = 3
    broken_tries: int = 5
    refused_delay: float = 300.0
