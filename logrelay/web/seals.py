"""Signed credentials: what stands in one, and whether we have signed it. No clock, no memory, no I/O.

A credential is `<kind's prefix><claims>.<signature>`: the claims as JSON in base64url, the signature an HMAC-SHA256
(RFC 2104) of that very text. Each kind has a key of its own, derived from the service secret, so that one kind is
never taken for another. Whoever holds a credential can read its claims: a scope, a subject and times, no secret.
"""

import base64
import enum
import hashlib
import hmac

import msgspec

from logrelay.errors import SettingsInvalid

SECRET_LENGTH = 32  # characters; a shorter service secret could be guessed from one ticket, offline
TEXT_LIMIT = 4096  # characters of a credential; has to fit into a URL, and in base64 into a header


class Kind(enum.Enum):
    """What a credential is for. Its value begins the text, so that people and scanners for leaks know it by sight."""

    TICKET = "lrt1."  # opens one stream
    RECONNECT = "lrr1."  # comes back with the same scope
    SHARE = "lrs1."  # is exchanged for tickets


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a credential allows. Times are seconds since 1970."""

    id: str
    environment: str
    issued: float
    until: float  # when access is over
    services: tuple[str, ...] = ()  # exact names or ids; empty means all
    search: str = ""
    subject: str | None = None
    parent: str | None = None  # id of the share link that it comes from


def kind_of(text: str) -> Kind | None:
    """What a text says that it is, without a look at its signature; None when it is no credential of ours."""
    return next((kind for kind in Kind if text.startswith(kind.value)), None)


class Seals:
    """Signs claims, and reads what it has signed. Keeps keys made from the secret, not the secret."""

    def __init__(self, secret: str) -> None:
        if len(secret) < SECRET_LENGTH:
            raise SettingsInvalid(
                (f"LOGRELAY_SERVICE_SECRET: at least {SECRET_LENGTH} characters, best random ones",)
            )
        own = _bytes(secret)
        self._keys = {
            kind: hmac.digest(own, b"logrelay credential " + kind.value.encode(), "sha256") for kind in Kind
        }
        self._service = hashlib.sha256(own).digest()

    def __repr__(self) -> str:
        return "<Seals>"

    def is_service(self, text: str) -> bool:
        """Whether this is the service secret. Takes the same time for every text of a length."""
        return hmac.compare_digest(hashlib.sha256(_bytes(text)).digest(), self._service)

    def seal(self, kind: Kind, claims: Claims) -> str:
        """The signed text."""
        body = _text(msgspec.json.encode(claims))
        return f"{kind.value}{body}.{self._signature(kind, body)}"

    def read(self, kind: Kind, text: str) -> Claims | None:
        """The claims of a text that is of this kind and signed by us, else None.

        The signature is compared as text and before anything is decoded: no other spelling of the same bytes passes.
        """
        if not text.isascii() or not text.startswith(kind.value):
            return None
        body, _, signature = text.removeprefix(kind.value).partition(".")
        if not hmac.compare_digest(self._signature(kind, body), signature):
            return None
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Claims)
        except (ValueError, msgspec.MsgspecError):
            return None  # signed by another version of the relay, which knew other claims

    def _signature(self, kind: Kind, body: str) -> str:
        return _text(hmac.digest(self._keys[kind], body.encode(), "sha256"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a header may hold anything


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
