"""How connections end, by name: the `Disconnect` values of protocol.md section 4 that more than one module needs."""

from logrelay.errors import CloseCode, Disconnect, Scope, UpstreamRefused


def gone(*, silent: bool = False) -> Disconnect:
    """The peer has left, or gives no sign of life: there is nothing more to say."""
    return Disconnect(CloseCode.NORMAL, abort=silent)


def failed() -> Disconnect:
    """A fault of ours."""
    return Disconnect(CloseCode.INTERNAL, "internal", "the relay failed", retryable=True)


def restart() -> Disconnect:
    """The relay ends; `draining` has said so before."""
    return Disconnect(CloseCode.RESTART)


def too_slow() -> Disconnect:
    """The peer's writes have stopped."""
    message = "a write made no progress for too long"
    return Disconnect(CloseCode.TOO_SLOW, "too_slow", message, retryable=True, abort=True)


def flooding(message: str = "too many messages") -> Disconnect:
    """The peer sends more than anyone needs to."""
    return Disconnect(CloseCode.FLOODING, "flooding", message)


def unauthenticated(message: str = "the credential is not valid") -> Disconnect:
    """The caller hasn't shown who it is, or what it has shown is no good. `message` never says why in detail."""
    return Disconnect(CloseCode.UNAUTHENTICATED, "unauthenticated", message)


def expired() -> Disconnect:
    """The credential's time is over, or it has been revoked."""
    return Disconnect(CloseCode.UNAUTHENTICATED, "expired", "the credential has expired or was revoked")


def not_allowed() -> Disconnect:
    """Not the caller's environment, or none at all: the two look alike (faults.md C21)."""
    return Disconnect(CloseCode.NOT_ALLOWED, "not_allowed", "this environment may not be streamed")


def undecided() -> Disconnect:
    """Whoever had to say whether the caller may look doesn't answer: nobody is let in without that."""
    message = "whether you may look can't be told at the moment"
    return Disconnect(CloseCode.INTERNAL, "internal", message, retryable=True)


def refused(refusal: UpstreamRefused) -> Disconnect:
    """What a refusal of Railway's means to a client."""
    if refusal.scope is Scope.ENVIRONMENT:
        message = "Railway knows no such environment, or the relay's token can't see it"
        return Disconnect(CloseCode.UNKNOWN_ENVIRONMENT, "unknown_environment", message)
    return Disconnect(CloseCode.UPSTREAM_REFUSED, "upstream_refused", refusal.reason, retryable=True)
