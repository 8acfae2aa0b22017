"""An issuer of tokens on loopback: signs with joserfc, and serves its public keys over HTTP, counted."""

import asyncio
import base64
import json
import ssl
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Self

import attrs
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

SigningKey = RSAKey | ECKey | OKPKey | OctKey
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Making an RSA key takes a moment, so that all tests share these; those of EC and OKP are made by `ec` and `okp`.
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "other"})


def rsa(kid: str | None = "rsa", **parameters: Any) -> RSAKey:
    """The shared RSA key under a name and with the parameters of a test."""
    return RSAKey.import_key(RSA.raw_value, _named(kid, parameters))


def ec(kid: str | None = "ec", curve: str = "P-256", **parameters: Any) -> ECKey:
    return ECKey.generate_key(curve, _named(kid, parameters))


def okp(kid: str | None = "okp", curve: Any = "Ed25519", **parameters: Any) -> OKPKey:
    return OKPKey.generate_key(curve, _named(kid, parameters))


def _named(kid: str | None, parameters: dict[str, Any]) -> Any:
    return parameters if kid is None else {"kid": kid, **parameters}


def segment(content: Any) -> str:
    """Base64url without padding of JSON, of a text as it is, or of bytes."""
    raw = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
    raw = json.dumps(content).encode() if raw is None else raw
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(content: Any, key: SigningKey, algorithm: str, header: Any = None, **more: Any) -> str:
    """A token of any header and payload, signed as the algorithm does; `more` is for the header."""
    named = {"kid": key.kid} if key.kid is not None else {}
    header = {"alg": algorithm, "typ": "JWT", **named, **more} if header is None else header
    text = f"{segment(header)}.{segment(content)}"
    return f"{text}.{segment(jws.JWSRegistry.algorithms[algorithm].sign(text.encode(), key))}"


def encoded(claims: Mapping[str, Any], key: SigningKey, algorithm: str) -> str:
    """A token as joserfc makes it from end to end."""
    header = {"alg": algorithm, "typ": "JWT"} | ({} if key.kid is None else {"kid": key.kid})
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", SecurityWarning
        )  # EdDSA has a new name (RFC 9864), most use the old one
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[algorithm])


class Clock:
    """The monotonic clock, which a test can set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0  # seconds

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@attrs.define
class Issuer:
    """Serves its keys at `url`, or whatever `answer` does instead. `asked` counts requests of any path."""

    keys: Iterable[Any] = ()
    headers: Mapping[str, str] = attrs.Factory(dict)
    answer: Answer | None = None
    tls: ssl.SSLContext | None = None
    asked: int = 0
    requests: list[Mapping[str, str]] = attrs.Factory(list)
    served: asyncio.Event = attrs.Factory(asyncio.Event)
    _server: TestServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return str(self._server.make_url("/jwks"))

    def body(self) -> bytes:
        entries = [key.as_dict() if isinstance(key, RSAKey | ECKey | OKPKey) else key for key in self.keys]
        return json.dumps({"keys": entries}).encode()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.requests.append(dict(request.headers))
        self.served.set()
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(body=self.body(), content_type="application/jwk-set+json", headers=self.headers)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.serve)
        self._server = TestServer(app)
        await self._server.start_server(**({"ssl": self.tls} if self.tls else {}))
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        await self._server.close()
