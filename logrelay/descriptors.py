"""How many connections the process's file descriptors are enough for (faults.md P8).

Each viewer takes one, and whoever takes the last one takes it from Railway: a subscription that is lost couldn't be
opened again before somebody leaves. So some are kept from viewers, who are refused with 503 instead.
"""

import contextlib
import resource

_KEPT = 64  # for Railway, files, probes, and those whose handshake goes on


def raise_limit() -> None:
    """Take as many descriptors as may be had: the usual limit of 1,024 is there for programs that call `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room() -> int:
    """Connections that leave enough descriptors for all else: at least half of what there are."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    return max(soft - _KEPT, soft // 2, 1)
