import asyncio
import contextlib
import gzip
import json
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import web_harness
from aiohttp import web
from joserfc.jwk import OctKey
from web_issuer import OTHER_RSA, RSA, Answer, Clock, Issuer, ec, okp, rsa

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.jwks import ASYMMETRIC, Jwks, JwksLimits

DEADLINE = 5.0
OPEN = JwksLimits(spacing=0.0)  # a fetch whenever one is wanted


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer(keys=[RSA]) as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextlib.asynccontextmanager
async def fetched(issuer: Issuer, **options: Any) -> AsyncIterator[Jwks]:
    """A key set whose first fetch has been made."""
    async with Jwks(issuer.url, **options) as jwks:
        await web_harness.until(lambda: jwks.describe()["state"] == "ok", DEADLINE)
        yield jwks


async def ending(jwks: Jwks, kid: str | None = "rsa") -> CloseCode:
    with pytest.raises(Disconnect) as caught:
        await jwks.find("RS256", kid)
    assert caught.value.retryable
    return caught.value.code


async def thumbprint(jwks: Jwks, algorithm: str, kid: str | None) -> str | None:
    found = await jwks.find(algorithm, kid)
    return None if found is None else found.thumbprint()


def says(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example.com/jwks", "https://issuer.example.com:8443/.well-known/jwks.json?tenant=1",
        "http://localhost/jwks", "http://127.0.0.1:9000/jwks", "http://[::1]/jwks",
    ],
)  # fmt: skip
def test_keys_may_be_fetched_over_tls_or_on_this_machine(url: str) -> None:
    assert Jwks.valid(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.com/jwks", "http://127.0.0.1.example.com/jwks", "http://localhost.example.com/jwks",
        "ftp://issuer.example.com/jwks", "file:///etc/jwks", "issuer.example.com/jwks", "", "https://", "https:///jwks",
        "https://user:word@issuer.example.com/jwks", "https://user@issuer.example.com/jwks",
        "https://issuer.example.com/jwks#x", "https://issuer.example.com:99999/jwks", "data:,{}", "https://[::1",
        "http://0.0.0.0/jwks", "//issuer.example.com/jwks",
    ],
)  # fmt: skip
def test_keys_are_fetched_from_nowhere_else(url: str) -> None:
    assert not Jwks.valid(url)
    with pytest.raises(ValueError, match="https") as caught:
        Jwks(url)
    assert "example" not in str(caught.value)


async def test_keys_come_by_kid_and_algorithm(issuer: Issuer) -> None:
    p256, p384, ed = ec("p256"), ec("p384", "P-384"), okp("ed")
    issuer.keys = [RSA, OTHER_RSA, p256, p384, ed]

    async with fetched(issuer) as jwks:
        assert RSA.thumbprint() == await thumbprint(jwks, "RS256", "rsa")
        assert RSA.thumbprint() == await thumbprint(jwks, "PS512", "rsa")
        assert OTHER_RSA.thumbprint() == await thumbprint(jwks, "RS256", "other")
        assert p256.thumbprint() == await thumbprint(jwks, "ES256", "p256")
        assert p384.thumbprint() == await thumbprint(jwks, "ES384", "p384")
        assert ed.thumbprint() == await thumbprint(jwks, "EdDSA", "ed")
        assert ed.thumbprint() == await thumbprint(jwks, "Ed25519", "ed")
        assert None is await thumbprint(jwks, "ES256", "p384")
        assert None is await thumbprint(jwks, "ES256", "rsa")
        assert None is await thumbprint(jwks, "HS256", "rsa")
        assert None is await thumbprint(jwks, "none", "rsa")
    assert 1 == issuer.asked
    assert "HS256" not in ASYMMETRIC


async def test_without_a_kid_exactly_one_key_has_to_fit(issuer: Issuer) -> None:
    p256 = ec("p256")
    issuer.keys = [RSA, OTHER_RSA, p256]

    async with fetched(issuer) as jwks:
        assert p256.thumbprint() == await thumbprint(jwks, "ES256", None)
        assert None is await thumbprint(jwks, "RS256", None)
        assert None is await thumbprint(jwks, "ES384", None)


async def test_a_kid_that_stands_there_twice_names_no_key(issuer: Issuer) -> None:
    issuer.keys = [rsa("same"), {**OTHER_RSA.as_dict(), "kid": "same"}, ec("same")]

    async with fetched(issuer) as jwks:
        assert None is await thumbprint(jwks, "RS256", "same")
        assert None is not await thumbprint(jwks, "ES256", "same")


async def test_what_a_key_says_of_its_use_counts(issuer: Issuer) -> None:
    issuer.keys = [
        rsa("sig", use="sig"), rsa("enc", use="enc"), rsa("ps", alg="PS256"), rsa("ops", key_ops=["verify"]),
        rsa("wraps", key_ops=["wrapKey"]), rsa("hs", alg="HS256"), okp("agrees", "X25519"), okp("ed448", "Ed448"),
    ]  # fmt: skip

    async with fetched(issuer) as jwks:
        fitting = {kid for kid in ("sig", "enc", "ps", "ops", "wraps", "hs") if await jwks.find("RS256", kid)}
        assert {"sig", "ops"} == fitting
        assert None is not await jwks.find("PS256", "ps")
        assert None is await jwks.find("EdDSA", "agrees")
        assert None is not await jwks.find("EdDSA", "ed448")
        assert None is await jwks.find("Ed25519", "ed448")


async def test_a_bad_key_is_no_fault_of_the_others(issuer: Issuer) -> None:
    good, curve = RSA.as_dict(), ec("c").as_dict()
    bad: list[Any] = [
        None, 1, "key", [], {}, {"kty": "oct", "k": "c2VjcmV0"}, OctKey.generate_key(256).as_dict(), {"kty": "AKP"},
        {"kty": ["RSA"]}, {"kty": None}, {"kty": "RSA"}, {**good, "n": 1}, {**good, "n": "!"}, {**good, "e": ""},
        {**good, "n": good["n"][:100]}, {**good, "kid": 1}, {**good, "use": "other"}, {**good, "use": ["sig"]},
        {**good, "key_ops": ["sing"]}, {**good, "key_ops": 1}, {**good, "alg": 1}, {**good, "x5u": "file:///x"},
        {**curve, "crv": "P-1"}, {**curve, "crv": "secp256k1"}, {**curve, "x": curve["y"], "y": curve["x"]},
        {**curve, "x": None}, {**curve, "kty": "OKP"}, {**curve, "kty": "RSA"}, RSA.as_dict(private=True),
        ec("private").as_dict(private=True), okp("private").as_dict(private=True), {**good, "d": ""}, "\ud800",
        {**good, "n": "\ud800"},
    ]  # fmt: skip
    issuer.keys = [*bad, OTHER_RSA, *bad]

    async with fetched(issuer, limits=OPEN) as jwks:
        assert OTHER_RSA.thumbprint() == await thumbprint(jwks, "RS256", None)
        assert repr(jwks) == "<Jwks 127.0.0.1: 1 keys>"


async def test_a_thousand_who_bring_unknown_kids_make_one_request(issuer: Issuer, clock: Clock) -> None:
    async with fetched(issuer, clock=clock) as jwks:
        await asyncio.gather(*(jwks.find("RS256", f"made up {number}") for number in range(1000)))
        assert 1 == issuer.asked  # the first fetch was a moment ago

        clock.ahead += 31
        found = await asyncio.gather(*(jwks.find("RS256", f"made up {number}") for number in range(1000)))

        assert [None] * 1000 == found
        assert 2 == issuer.asked

        for number in range(100):
            await jwks.find("RS256", f"another {number}")
        assert 2 == issuer.asked

        clock.ahead += 29
        await jwks.find("RS256", "another")
        assert 2 == issuer.asked


async def test_the_first_callers_wait_for_the_first_keys(issuer: Issuer) -> None:
    go = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=issuer.body())

    issuer.answer = slowly
    async with Jwks(issuer.url) as jwks:
        first = jwks.describe()
        finding = asyncio.gather(*(jwks.find("RS256", "rsa") for _ in range(20)))
        await issuer.served.wait()
        go.set()

        assert None not in await finding
        assert ("failing", "not fetched yet", False) == (first["state"], first["reason"], first["serving"])
        assert {"state": "ok"} == jwks.describe()
    assert 1 == issuer.asked


async def test_one_who_leaves_does_not_end_the_fetch_of_the_others(issuer: Issuer) -> None:
    go = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=issuer.body())

    issuer.answer = slowly
    async with Jwks(issuer.url) as jwks:
        leaver = asyncio.create_task(jwks.find("RS256", "rsa"))
        stayer = asyncio.create_task(jwks.find("RS256", "rsa"))
        await issuer.served.wait()

        leaver.cancel()
        await asyncio.wait((leaver,))
        go.set()

        assert None is not await stayer
        assert leaver.cancelled()
    assert 1 == issuer.asked


async def test_a_new_key_counts_right_after_the_fetch_that_it_causes(issuer: Issuer, clock: Clock) -> None:
    async with fetched(issuer, clock=clock) as jwks:
        issuer.keys = [OTHER_RSA]
        assert None is await jwks.find("RS256", "other")  # within 30 s of the last fetch

        clock.ahead += 31

        assert OTHER_RSA.thumbprint() == await thumbprint(jwks, "RS256", "other")
        assert None is await jwks.find("RS256", "rsa")  # the old one is gone with that fetch
    assert 2 == issuer.asked


async def test_a_removed_key_is_refused_after_the_next_fetch(issuer: Issuer) -> None:
    async with fetched(issuer) as jwks:
        issuer.keys = []
        assert None is not await jwks.find("RS256", "rsa")

        assert jwks.reload()

        assert None is await jwks.find("RS256", "rsa")
        assert {"state": "ok"} == jwks.describe()
    assert 2 == issuer.asked


async def test_a_reload_is_for_all_who_come_after_it(issuer: Issuer) -> None:
    answers = [asyncio.Event(), asyncio.Event()]
    bodies = [issuer.body(), b'{"keys":[]}']

    async def in_turn(request: web.Request) -> web.StreamResponse:
        turn = issuer.asked - 1
        await answers[turn].wait()
        return web.Response(body=bodies[turn])

    issuer.answer = in_turn
    async with Jwks(issuer.url) as jwks:
        await issuer.served.wait()
        jwks.reload()  # while the first fetch is under way, whose answer may be from before
        finding = asyncio.gather(*(jwks.find("RS256", "rsa") for _ in range(20)))
        for event in answers:
            event.set()

        assert [None] * 20 == await finding
    assert 2 == issuer.asked


async def test_keys_are_fetched_again_before_they_run_out(issuer: Issuer, clock: Clock) -> None:
    limits = JwksLimits(spacing=0.01)  # which is also how often the clock is looked at
    async with fetched(issuer, limits=limits, clock=clock) as jwks:
        for fetches in (2, 3, 4):
            clock.ahead += 250  # of 300 seconds, and nobody asks for a key

            await web_harness.until(lambda fetches=fetches: issuer.asked >= fetches, DEADLINE)
            assert {"state": "ok"} == jwks.describe()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 300), ("no-cache", 300), ("max-age=600", 600), ("public, max-age=600, must-revalidate", 600),
        ("PUBLIC,MAX-AGE=600", 600), ("max-age=0", 60), ("max-age=1", 60), ("max-age=999999999", 3600),
        ("max-age=-1", 300), ("s-maxage=900", 300), ("s-maxage=900, max-age=120", 120), ("max-age=x", 300),
        ('max-age="120"', 120), ("x-max-age=900", 300),
    ],
)  # fmt: skip
async def test_keys_are_kept_for_as_long_as_the_answer_says(
    issuer: Issuer, clock: Clock, header: Any, seconds: Any
) -> None:
    issuer.headers = {} if header is None else {"Cache-Control": header}
    async with fetched(issuer, clock=clock, limits=JwksLimits(grace=0.0)) as jwks:
        clock.ahead = seconds - 5
        await jwks.find("RS256", "rsa")
        assert 1 == issuer.asked

        clock.ahead = seconds + 5
        await jwks.find("RS256", "rsa")
        assert 2 == issuer.asked


async def _hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(OSError):
        while True:
            await response.write(b" " * 65536)
    return response


async def _breaks_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys":')
    assert request.transport is not None
    request.transport.close()
    return response


MANY = json.dumps({"keys": [RSA.as_dict()] * 101}).encode()
FAULTS: dict[str, tuple[Answer, str]] = {
    "status 500": (says(500), "status 500"),
    "status 404": (says(404, b'{"keys":[]}'), "status 404"),
    "status 204": (says(204), "status 204"),
    "a redirect": (says(302, Location="/elsewhere"), "status 302"),
    "a lasting redirect": (says(308, Location="/elsewhere"), "status 308"),
    "nothing": (says(200), "unreadable"),
    "no JSON": (says(200, b"<html>"), "unreadable"),
    "half of it": (says(200, b'{"keys":['), "unreadable"),
    "a list": (says(200, b"[]"), "unreadable"),
    "a text": (says(200, b'"keys"'), "unreadable"),
    "null": (says(200, b"null"), "unreadable"),
    "no keys": (says(200, b"{}"), "unreadable"),
    "keys of another kind": (says(200, b'{"keys":{}}'), "unreadable"),
    "keys that are null": (says(200, b'{"keys":null}'), "unreadable"),
    "no text": (says(200, b"\xff\xfe\xff"), "unreadable"),
    "deep": (says(200, b"[" * 200_000), "unreadable"),
    "a huge number": (says(200, b'{"keys":' + b"9" * 10_000 + b"}"), "unreadable"),
    "compressed": (says(200, gzip.compress(b'{"keys":[]}'), Content_Encoding="gzip"), "unreadable"),
    "too many keys": (says(200, MANY), "too large"),
    "too many bytes": (says(200, b'{"keys":[]}' + b" " * 256 * 1024), "too large"),
    "endless": (_endless, "too large"),
    "no answer": (_hang, "timeout"),
    "broken off": (_breaks_off, "broken off"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_where_no_keys_come_nobody_is_let_in(
    issuer: Issuer, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer.answer, reason = FAULTS[name]
    limits = JwksLimits(timeout=0.3, first_retry=0.01)
    url = issuer.url + "?key=not-for-logs"

    async with Jwks(url, limits=limits) as jwks:
        assert CloseCode.INTERNAL == await ending(jwks)
        described = jwks.describe()
        assert ("failing", reason, False) == (described["state"], described["reason"], described["serving"])
        assert "not-for-logs" not in repr(jwks)

        issuer.answer = None
        await web_harness.until(lambda: jwks.describe() == {"state": "ok"}, DEADLINE)
        assert None is not await jwks.find("RS256", "rsa")

    said = [record for record in caplog.records if record.name == "logrelay.web.jwks"]
    assert [reason] == [vars(record)["reason"] for record in said if record.levelno == logging.WARNING]
    assert not any("not-for-logs" in str(vars(record)) for record in said)


async def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    async with Issuer(keys=[RSA]) as other:
        issuer.answer = says(302, Location=other.url)

        async with Jwks(issuer.url) as jwks:
            assert CloseCode.INTERNAL == await ending(jwks)

        assert 0 == other.asked


async def test_nobody_at_the_address_lets_nobody_in() -> None:
    async with Issuer() as gone:
        url = gone.url

    async with Jwks(url) as jwks:
        assert CloseCode.INTERNAL == await ending(jwks)
        assert "unreachable" == jwks.describe()["reason"]


async def test_old_keys_go_on_for_an_hour_and_no_longer(issuer: Issuer, clock: Clock) -> None:
    async with fetched(issuer, clock=clock) as jwks:
        issuer.answer = says(503)
        jwks.reload()
        assert None is not await jwks.find("RS256", "rsa")
        described = jwks.describe()
        assert ("failing", "status 503", True) == (
            described["state"],
            described["reason"],
            described["serving"],
        )
        assert CloseCode.INTERNAL == await ending(jwks, "new")  # it may be good: that can't be told now

        clock.ahead = 300 + 3600 - 10
        assert None is not await jwks.find("RS256", "rsa")
        assert 3500 < float(str(jwks.describe()["seconds"])) < 4000

        clock.ahead += 20
        assert CloseCode.INTERNAL == await ending(jwks)
        assert jwks.describe()["serving"] is False

        issuer.answer = None
        clock.ahead += 31
        assert None is not await jwks.find("RS256", "rsa")
        assert {"state": "ok"} == jwks.describe()


async def test_retries_slow_down_but_never_end(issuer: Issuer) -> None:
    issuer.answer = says(500)
    async with Jwks(issuer.url, limits=JwksLimits(first_retry=0.01, spacing=0.05)):
        await web_harness.until(lambda: issuer.asked >= 6, DEADLINE)


async def test_a_failure_between_two_refreshes_is_tried_again_soon(issuer: Issuer) -> None:
    # The background fetch is due in four minutes; a failed one in between must not wait for that.
    async with fetched(issuer, limits=JwksLimits(first_retry=0.01, spacing=0.05)) as jwks:
        issuer.answer = says(500)
        jwks.reload()
        await jwks.find("RS256", "rsa")
        issuer.answer = None

        await web_harness.until(lambda: jwks.describe() == {"state": "ok"}, DEADLINE)


async def test_a_failure_is_said_once_and_so_is_its_end(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "logrelay")
    issuer.answer = says(500)
    async with Jwks(issuer.url, limits=JwksLimits(first_retry=0.01, spacing=0.02)) as jwks:
        await web_harness.until(lambda: issuer.asked >= 4, DEADLINE)
        issuer.answer = None
        await web_harness.until(lambda: jwks.describe() == {"state": "ok"}, DEADLINE)

    assert ["the issuer's keys don't come", "the issuer's keys are there"] == [
        r.message for r in caplog.records
    ]


async def test_a_key_set_that_is_not_open_lets_nobody_in(issuer: Issuer) -> None:
    jwks = Jwks(issuer.url)

    assert CloseCode.INTERNAL == await ending(jwks)
    assert "internal" == jwks.describe()["reason"]


async def test_closing_ends_a_fetch_under_way(issuer: Issuer) -> None:
    issuer.answer = _hang
    async with asyncio.timeout(DEADLINE):
        async with Jwks(issuer.url, limits=JwksLimits(timeout=60.0)) as jwks:
            waiting = asyncio.create_task(jwks.find("RS256", "rsa"))
            await issuer.served.wait()
        with pytest.raises(Disconnect):
            await waiting


async def test_nothing_of_ours_goes_to_the_issuer(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    issuer.headers = {"Set-Cookie": "a=b"}

    async with fetched(issuer, limits=OPEN) as jwks:
        await jwks.find("RS256", "unknown")

    assert 2 == len(issuer.requests)
    for headers in issuer.requests:
        assert {"Host", "Accept", "Accept-Encoding", "User-Agent"} == set(headers)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    made, made_key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", made_key, "-out", made]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made, made_key


async def test_certificates_are_checked_and_own_authorities_count(
    certificate: tuple[Path, Path], recwarn: pytest.WarningsRecorder
) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificate)
    async with Issuer(keys=[RSA], tls=served) as issuer:
        url = issuer.url.replace("http:", "https:")
        async with Jwks(url) as jwks:
            assert CloseCode.INTERNAL == await ending(jwks)
            assert "tls" == jwks.describe()["reason"]
        assert 0 == issuer.asked

        async with Jwks(url, tls=ssl.create_default_context(cafile=certificate[0])) as jwks:
            assert None is not await jwks.find("RS256", "rsa")


@pytest.mark.parametrize("made", [lambda: ec(None), lambda: okp(None), lambda: rsa(None)])
async def test_a_key_without_a_kid_is_for_tokens_without_one(issuer: Issuer, made: Callable[[], Any]) -> None:
    issuer.keys = [made()]
    algorithm = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}[made().key_type]

    async with fetched(issuer) as jwks:
        assert None is not await jwks.find(algorithm, None)
        assert None is await jwks.find(algorithm, "some")
