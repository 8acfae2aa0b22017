import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey
from web_issuer import OTHER_RSA, RSA, Clock, Issuer, SigningKey, ec, encoded, okp, rsa, segment, signed

from logrelay.errors import CloseCode, Disconnect
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web.grants import Credential, Grant, Source
from logrelay.web.jwks import ASYMMETRIC, Jwks
from logrelay.web.jwt import LAST_SECOND, SYMMETRIC, TOKEN_LIMIT, JwtGuard, JwtRules, Secret

NOW = 1_764_000_000
ENV = "env-1"
SECRET = b"0123456789abcdef0123456789abcdef"
KEY = OctKey.import_key(SECRET)
RULES = JwtRules(("HS256",), audience="logrelay", issuer="https://issuer.example.com")
TEXTS = {
    "unauthenticated": "the credential is not valid",
    "expired": "the credential has expired or was revoked",
}


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones; a change to None leaves the claim out."""
    base = {
        "exp": NOW + 60, "iat": NOW - 60, "nbf": NOW - 60, "aud": "logrelay", "iss": "https://issuer.example.com",
        "sub": "ada", "logrelay:environments": [ENV],
    }  # fmt: skip
    return {name: value for name, value in (base | changes).items() if value is not None}


def hs(
    content: Any = None, key: OctKey = KEY, algorithm: str = "HS256", header: Any = None, **more: Any
) -> str:
    return signed(claims() if content is None else content, key, algorithm, header, **more)


def claiming(**changes: Any) -> str:
    return hs(claims(**changes))


def guarded(
    rules: JwtRules = RULES, secret: bytes = SECRET, now: Callable[[], float] = lambda: NOW
) -> JwtGuard:
    return JwtGuard(rules, Secret(secret), now=now)


async def granted(guard: JwtGuard, token: str) -> Grant:
    return await guard.grant(Credential(Source.HEADER, token), ENV)


async def refused(guard: JwtGuard, token: str) -> Disconnect:
    with pytest.raises(Disconnect) as caught:
        await granted(guard, token)
    return caught.value


# What is refused, with the word that the operator reads. The first table is for a shared secret.

GOOD = hs()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
TEXT = f"{HEADER}.{PAYLOAD}".encode()
B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def respelt(part: str) -> str:
    """The same bytes in base64url, by way of bits that don't count."""
    return part[:-1] + B64[B64.index(part[-1]) ^ 1]


def spelt_otherwise(header: str, payload: str) -> str:
    """Rightly signed, with those parts respelt that have bits to spare."""
    parts = [part if len(part) % 4 == 0 else respelt(part) for part in (segment(header), segment(payload))]
    text = ".".join(parts)
    return f"{text}.{segment(hmac.digest(SECRET, text.encode(), 'sha256'))}"


def unsigned(alg: Any) -> str:
    return f"{segment({'alg': alg, 'typ': 'JWT'})}.{PAYLOAD}."


def mislabelled(alg: Any) -> str:
    """Signed as HS256, whatever the header says."""
    return hs(header={"alg": alg, "typ": "JWT"})


def flipped(text: str, place: int) -> str:
    """With one character of another value in that place."""
    return text[:place] + ("B" if text[place] == "A" else "A") + text[place + 1 :]


def text_claims(**changes: str) -> str:
    """The claims as JSON of which values can be anything."""
    base = {name: json.dumps(value) for name, value in claims().items()} | changes
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in base.items()) + "}"


BAD: dict[str, tuple[str, str]] = {
    # No signature, and other algorithms than the configured one.
    **{f"alg {alg}, unsigned": ("form", unsigned(alg)) for alg in ("none", "None", "NONE", "nOnE", "", "HS256")},
    **{
        f"alg {alg!r}, signed": ("algorithm", mislabelled(alg))
        for alg in (
            "none", "None", "NONE", "nOnE", "none ", "", "hs256", "HS256 ", "HS384", "HS512", "RS256", "ES256", "EdDSA",
            "dir", "A128KW", None, 0, True, ["HS256"], {"HS256": 1},
        )
    },
    "no alg": ("algorithm", hs(header={"typ": "JWT"})),
    "another strength, rightly signed": ("algorithm", hs(algorithm="HS512")),
    # The wrong secret, and something changed after signing.
    "another secret": ("signature", hs(key=OctKey.import_key(b"another secret of the same length"))),
    "the empty secret": ("signature", f"{HEADER}.{PAYLOAD}.{segment(hmac.digest(b'', TEXT, 'sha256'))}"),
    "the secret cut off": ("signature", hs(key=OctKey.import_key(SECRET[:-1]))),
    "the payload changed": ("signature", f"{HEADER}.{segment(claims(sub='eve'))}.{SIGNATURE}"),
    "the header changed": ("signature", f"{segment({'alg': 'HS256'})}.{PAYLOAD}.{SIGNATURE}"),
    "the signature's first bit": ("signature", f"{HEADER}.{PAYLOAD}.{flipped(SIGNATURE, 0)}"),
    "the signature cut off": ("signature", f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-4]}"),
    "the signature lengthened": ("signature", f"{HEADER}.{PAYLOAD}.{SIGNATURE}AAAA"),
    "another token's signature": ("signature", f"{HEADER}.{PAYLOAD}.{claiming(sub='eve').split('.')[2]}"),
    "the signature spelt otherwise": ("signature", f"{HEADER}.{PAYLOAD}.{respelt(SIGNATURE)}"),
    "parts in another order": ("header", f"{PAYLOAD[:-1]}.{HEADER}.{SIGNATURE}"),
    # No compact serialization.
    "empty": ("form", ""),
    "dots": ("form", ".."),
    "a word": ("form", "token"),
    "two parts": ("form", f"{HEADER}.{PAYLOAD}"),
    "no signature": ("form", f"{HEADER}.{PAYLOAD}."),
    "no header": ("form", f".{PAYLOAD}.{SIGNATURE}"),
    "no payload": ("form", f"{HEADER}..{SIGNATURE}"),
    "four parts": ("form", f"{GOOD}.{SIGNATURE}"),
    "a dot at the end": ("form", f"{GOOD}."),
    "a space before": ("form", f" {GOOD}"),
    "a line's end after": ("form", f"{GOOD}\n"),
    "a tab within": ("form", f"{HEADER}\t.{PAYLOAD}.{SIGNATURE}"),
    "NUL after": ("form", f"{GOOD}\0"),
    "Bearer before": ("form", f"Bearer {GOOD}"),
    "quotes": ("form", f'"{GOOD}"'),
    "padded signature": ("form", f"{GOOD}="),
    "padded header": ("form", f"{HEADER}=.{PAYLOAD}.{SIGNATURE}"),
    "padded payload": ("form", f"{HEADER}.{PAYLOAD}==.{SIGNATURE}"),
    "the other alphabet": ("form", f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-2]}+/"),
    "percent encoding": ("form", GOOD.replace(".", "%2E")),
    "not ASCII": ("form", f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}é"),
    "digits of another script": ("form", f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}\u0661"),
    "half a character": ("form", f"{HEADER}.{PAYLOAD}.\ud800"),
    "as JSON": ("form", json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE})),
    "encrypted, five parts": ("form", segment({"alg": "dir", "enc": "A256GCM"}) + "..AAAA.AAAA.AAAA"),
    "encrypted, five full parts": ("form", segment({"alg": "A128KW", "enc": "A128GCM"}) + ".AAAA" * 4),
    "too long": ("size", claiming(more="x" * TOKEN_LIMIT)),
    "a million characters": ("size", "A" * 1_000_000),
    "a million dots": ("size", "." * 1_000_000),
    # The header.
    "unknown crit": ("header", hs(crit=["more"], more=1)),
    "known crit": ("header", hs(crit=["alg"])),
    "empty crit": ("header", hs(crit=[])),
    "crit of another kind": ("header", hs(crit="exp")),
    "unencoded payload": ("header", hs(crit=["b64"], b64=False)),
    "unencoded payload, not crit": ("header", hs(b64=False)),
    "encoded payload, said so": ("header", hs(crit=["b64"], b64=True)),
    "a token in the token": ("header", hs(GOOD, cty="JWT")),
    "a token in the token, not said so": ("claims", hs(GOOD)),
    "enc in the header": ("header", hs(enc="A256GCM")),
    "zip in the header": ("header", hs(zip="DEF")),
    "typ of another use": ("header", hs(typ="logout+jwt")),
    "typ of another kind": ("header", hs(typ=1)),
    "typ null": ("header", hs(typ=None)),
    "kid of another kind": ("header", hs(kid=1)),
    "kid as a list": ("header", hs(kid=["a"])),
    "alg twice": ("header", hs(header='{"alg":"HS256","alg":"HS256"}')),
    "alg twice, none first": ("header", hs(header='{"alg":"none","alg":"HS256"}')),
    "alg twice, none last": ("header", hs(header='{"alg":"HS256","alg":"none"}')),
    "alg twice, escaped": ("header", hs(header='{"alg":"HS256","\\u0061lg":"none"}')),
    "a list as header": ("header", hs(header=[{"alg": "HS256"}])),
    "a text as header": ("header", hs(header='"HS256"')),
    "null as header": ("header", hs(header="null")),
    "no JSON as header": ("header", hs(header="alg=HS256")),
    "NaN in the header": ("header", hs(header='{"alg":"HS256","a":NaN}')),
    "a BOM before the header": ("header", hs(header=b'\xef\xbb\xbf{"alg":"HS256"}')),
    "UTF-16 as header": ("header", hs(header='{"alg":"HS256"}'.encode("utf-16"))),
    "no text as header": ("header", hs(header=b"\xff\xfe\xfd")),
    "a deep header": ("header", hs(header="[" * 3000)),
    "the header spelt otherwise": ("header", spelt_otherwise('{"alg": "HS256"}', text_claims())),
    "the payload spelt otherwise": ("signature", spelt_otherwise('{"alg":"HS256"}', "0123456789012345")),
    "a header of an impossible length": ("header", f"A.{PAYLOAD}.{SIGNATURE}"),
    # The payload.
    "a list of claims": ("claims", hs([claims()])),
    "no claims": ("claims", hs({})),
    "null": ("claims", hs("null")),
    "a number": ("claims", hs("1")),
    "no JSON": ("claims", hs("exp=1")),
    "something after the claims": ("claims", hs(text_claims() + "x")),
    "two objects": ("claims", hs(text_claims() * 2)),
    "half of it": ("claims", hs(text_claims()[:-1])),
    "no text": ("claims", hs(b"\xff" + text_claims().encode())),
    "deep claims": ("claims", hs('{"a":' * 1000)),
    "a claim twice": ("claims", hs(text_claims()[:-1] + ',"sub":"eve"}')),
    "exp twice": ("claims", hs(text_claims()[:-1] + f',"exp":{NOW + 10}}}')),
    "a name twice, deep in": ("claims", hs(text_claims(more='{"a":1,"a":2}'))),
    # Times.
    "no exp": ("claims", claiming(exp=None)),
    **{
        f"exp {value[:20]}": ("claims", hs(text_claims(exp=value)))
        for value in (
            "null", "true", '""', f'"{NOW + 60}"', f"{NOW + 60}.5", f"{NOW + 60}.0", "9e9", "1e400", "-1e400", "NaN",
            "Infinity", "-Infinity", "-1", "-9999999999", str(LAST_SECOND + 1), str((NOW + 60) * 1000), "9" * 400,
            "9" * 5000, f"[{NOW + 60}]", "{}",
        )
    },
    "expired": ("expired", claiming(exp=NOW - 1)),
    "expires now": ("expired", claiming(exp=NOW)),
    "expired within the leeway": ("expired", claiming(exp=NOW - 4)),
    "expired long ago": ("expired", claiming(exp=0)),
    "not yet": ("early", claiming(nbf=NOW + 6)),
    "not for long": ("early", claiming(nbf=LAST_SECOND)),
    "issued in the future": ("early", claiming(iat=NOW + 6)),
    **{
        f"{name} {value}": ("claims", hs(text_claims(**{name: value})))
        for name in ("nbf", "iat")
        for value in ("null", "true", f'"{NOW}"', "1.5", "-1", "NaN", "[]")
    },
    # Who it is for, from and about.
    "no aud": ("audience", claiming(aud=None)),
    "another's aud": ("audience", claiming(aud="another")),
    "aud of other case": ("audience", claiming(aud="Logrelay")),
    "part of aud": ("audience", claiming(aud="logrelay.example.com")),
    "empty aud": ("audience", claiming(aud="")),
    "others' auds": ("audience", claiming(aud=["another", "logrelay "])),
    "no auds": ("audience", claiming(aud=[])),
    "aud null": ("claims", hs(text_claims(aud="null"))),
    "aud a number": ("claims", claiming(aud=1)),
    "aud an object": ("claims", claiming(aud={"logrelay": 1})),
    "auds of many kinds": ("claims", claiming(aud=["logrelay", 1])),
    "auds in auds": ("claims", claiming(aud=[["logrelay"]])),
    "no iss": ("issuer", claiming(iss=None)),
    "another's iss": ("issuer", claiming(iss="https://issuer.example.com/")),
    "iss a list": ("claims", claiming(iss=["https://issuer.example.com"])),
    "iss null": ("claims", hs(text_claims(iss="null"))),
    "empty sub": ("claims", claiming(sub="")),
    "long sub": ("claims", claiming(sub="a" * 201)),
    "sub a number": ("claims", claiming(sub=1)),
    "sub null": ("claims", hs(text_claims(sub="null"))),
    "sub of two lines": ("claims", claiming(sub="ada\neve")),
    "sub with ESC": ("claims", claiming(sub="\x1b[31mada")),
    "sub turned around": ("claims", claiming(sub="\u202eada")),
    "sub with half a character": ("claims", claiming(sub="\ud800")),
    **{
        f"services {value}": ("claims", hs(text_claims(**{"logrelay:services": value})))
        for value in ("null", '"api"', '"*"', "1", "true", "{}", "[1]", '["api",null]', '[["api"]]', '[""]', '["a\\n"]')
    },
}  # fmt: skip


def test_the_tables_are_as_large_as_they_should_be() -> None:
    print(f"{len(BAD)} bad tokens for a secret, {len(BAD_FOR_KEYS)} for a key set")  # noqa: T201 the count is wanted
    assert len(BAD) >= 40
    assert len(BAD_FOR_KEYS) >= 20


def check_refusal(refusal: Disconnect, reason: str, token: str, caplog: pytest.LogCaptureFixture) -> None:
    assert CloseCode.UNAUTHENTICATED == refusal.code
    assert TEXTS[refusal.error or ""] == refusal.message
    assert ("expired" if reason == "expired" else "unauthenticated") == refusal.error
    assert (refusal.__cause__, refusal.__context__) == (None, None)
    said = [vars(record) for record in caplog.records if record.name == "logrelay.web.jwt"]
    assert [("a token was refused", reason)] == [(about["msg"], about["reason"]) for about in said]
    everything = " ".join(str(vars(record)) for record in caplog.records) + repr(refusal)
    for part in token.split("."):
        assert len(part) < 8 or part not in everything


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_refused_and_nothing_of_it_is_said(
    name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reason, token = BAD[name]

    check_refusal(await refused(guarded(), token), reason, token, caplog)


async def test_the_token_that_the_bad_ones_are_made_of_is_good() -> None:
    assert "ada" == (await granted(guarded(), GOOD)).subject
    assert "ada" == (await granted(guarded(), hs(text_claims()))).subject
    assert "ada" == (await granted(guarded(), hs(header={"alg": "HS256"}))).subject


# The second table is for a key set, of which an attacker knows everything.

EVIL = OTHER_RSA  # an attacker's own key; the set doesn't have it
P256, P384, ED, PS_ONLY, ENC = (
    ec("p256"),
    ec("p384", "P-384"),
    okp("ed"),
    rsa("ps", alg="PS256"),
    rsa("enc", use="enc"),
)
SET = [RSA, P256, P384, ED, PS_ONLY, ENC, OctKey.import_key(SECRET, {"kid": "oct"}).as_dict()]
ASYMMETRIC_RULES = JwtRules(
    ("RS256", "PS256", "ES256", "ES384", "EdDSA"), audience="logrelay", issuer="https://issuer.example.com"
)


def by(key: SigningKey, algorithm: str, header: Any = None, **more: Any) -> str:
    return signed(claims(), key, algorithm, header, **more)


def confused(secret: bytes, kid: str = "rsa", alg: str = "HS256") -> str:
    """Signed as HS256 with what everybody knows as the secret (RFC 8725 section 2.1)."""
    return by(OctKey(secret, secret), "HS256", {"alg": alg, "kid": kid, "typ": "JWT"})


PUBLIC = RSA.as_dict()
EVIL_PUBLIC = EVIL.as_dict()
BAD_FOR_KEYS: dict[str, tuple[str, str]] = {
    "public key in PEM as secret": ("algorithm", confused(RSA.as_pem())),
    "public key in PEM without a line's end as secret": ("algorithm", confused(RSA.as_pem().strip())),
    "public key in DER as secret": ("algorithm", confused(RSA.as_der())),
    "public key as JWK as secret": ("algorithm", confused(json.dumps(PUBLIC).encode())),
    "public key's modulus as secret": ("algorithm", confused(str(PUBLIC["n"]).encode())),
    "public EC key in PEM as secret": ("algorithm", confused(P256.as_pem(), "p256")),
    "public key in PEM as secret, labelled RS256": ("signature", confused(RSA.as_pem(), alg="RS256")),
    "public EC key in PEM as secret, labelled ES256": ("signature", confused(P256.as_pem(), "p256", "ES256")),
    "secret of the set": ("algorithm", by(OctKey.import_key(SECRET, {"kid": "oct"}), "HS256")),
    "secret of the set, labelled RS256": ("key", confused(SECRET, "oct", "RS256")),
    "unsigned": ("form", f"{segment({'alg': 'none', 'kid': 'rsa'})}.{segment(claims())}."),
    "none, signed": ("algorithm", by(RSA, "RS256", {"alg": "none", "kid": "rsa"})),
    "embedded jwk": ("signature", by(EVIL, "RS256", kid="rsa", jwk=EVIL_PUBLIC)),
    "embedded jwk and no kid": ("signature", by(EVIL, "RS256", {"alg": "RS256", "jwk": EVIL_PUBLIC})),
    "embedded jwk with its own kid": ("key", by(EVIL, "RS256", jwk=EVIL_PUBLIC)),
    "embedded jwk that is private": ("key", by(EVIL, "RS256", jwk=EVIL.as_dict(private=True))),
    "embedded secret": ("algorithm", by(KEY, "HS256", jwk=KEY.as_dict())),
    "x5c": ("signature", by(EVIL, "RS256", kid="rsa", x5c=["MIIB"])),
    "x5t": ("key", by(EVIL, "RS256", x5t="AAAA")),
    "another's key, unknown kid": ("key", by(EVIL, "RS256")),
    "another's key, known kid": ("signature", by(EVIL, "RS256", kid="rsa")),
    "wrong kid": ("key", by(RSA, "RS256", kid="nobody")),
    "kid of other case": ("key", by(RSA, "RS256", kid="RSA")),
    "empty kid": ("key", by(RSA, "RS256", kid="")),
    "kid as a path": ("key", by(RSA, "RS256", kid="../../../../dev/null")),
    "kid as SQL": ("key", by(RSA, "RS256", kid="' UNION SELECT 'rsa")),
    "kid null": ("header", by(RSA, "RS256", kid=None)),
    "kid of another key": ("key", by(RSA, "RS256", kid="p256")),
    "no kid where two keys fit": ("key", by(RSA, "PS256", {"alg": "PS256"})),
    "key for encryption": ("key", by(ENC, "RS256")),
    "key for another algorithm": ("key", by(PS_ONLY, "RS256")),
    "RS256 labelled PS256": ("signature", by(RSA, "RS256", {"alg": "PS256", "kid": "rsa"})),
    "PS256 labelled RS256": ("signature", by(RSA, "PS256", {"alg": "RS256", "kid": "rsa"})),
    "RS256 labelled ES256": ("key", by(RSA, "RS256", {"alg": "ES256", "kid": "rsa"})),
    "RS256 labelled ES256 with an EC kid": ("signature", by(RSA, "RS256", {"alg": "ES256", "kid": "p256"})),
    "P-384 as ES256": ("key", by(P384, "ES256", {"alg": "ES256", "kid": "p384"})),
    "ES512, not configured": ("algorithm", by(ec("p521", "P-521"), "ES512")),
    "ES256K, not configured": ("algorithm", by(ec("k1", "secp256k1"), "ES256K")),
    "Ed25519, not configured": ("algorithm", by(ED, "Ed25519")),
    "r and s of zero": ("signature", ".".join([*by(P256, "ES256").split(".")[:2], segment(bytes(64))])),
    "r and s of one": (
        "signature", ".".join([*by(P256, "ES256").split(".")[:2], segment((bytes(31) + b"\1") * 2)]),
    ),
    "EdDSA's signature of zero": ("signature", ".".join([*by(ED, "EdDSA").split(".")[:2], segment(bytes(64))])),
    "a short signature": ("signature", ".".join([*by(RSA, "RS256").split(".")[:2], "AAAA"])),
    "a long signature": ("signature", ".".join([*by(RSA, "RS256").split(".")[:2], "A" * 4000])),
    "expired": ("expired", signed(claims(exp=NOW - 1), RSA, "RS256")),
}  # fmt: skip


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer(keys=SET) as issuer:
        yield issuer


@pytest.fixture
async def by_keys(issuer: Issuer) -> AsyncIterator[JwtGuard]:
    async with JwtGuard(ASYMMETRIC_RULES, Jwks(issuer.url), now=lambda: NOW) as guard:
        await granted(guard, by(RSA, "RS256"))
        yield guard


@pytest.mark.parametrize("name", BAD_FOR_KEYS)
async def test_a_bad_token_is_refused_by_a_key_set_too(
    by_keys: JwtGuard, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reason, token = BAD_FOR_KEYS[name]

    check_refusal(await refused(by_keys, token), reason, token, caplog)


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_an_address_in_a_header_is_never_asked(by_keys: JwtGuard, header: Any, issuer: Issuer) -> None:
    async with Issuer(keys=[EVIL, {**EVIL_PUBLIC, "kid": "rsa"}]) as evil:
        for kid in ("rsa", "other"):
            assert (
                CloseCode.UNAUTHENTICATED
                == (await refused(by_keys, by(EVIL, "RS256", kid=kid, **{header: evil.url}))).code
            )
        assert "ada" == (await granted(by_keys, by(RSA, "RS256", **{header: evil.url}))).subject

        assert 0 == evil.asked
    assert 1 == issuer.asked


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSA), ("RS384", RSA), ("RS512", RSA), ("PS256", RSA), ("PS384", RSA), ("PS512", RSA), ("ES256", P256),
        ("ES384", P384), ("ES512", ec("p521", "P-521")), ("EdDSA", ED), ("Ed25519", ED),
        ("EdDSA", okp("ed448", "Ed448")),
    ],
)  # fmt: skip
async def test_a_token_by_a_key_of_the_set_is_good(algorithm: Any, key: Any, issuer: Issuer) -> None:
    issuer.keys = [EVIL, key]
    rules = JwtRules((algorithm,), audience="logrelay")
    async with JwtGuard(rules, Jwks(issuer.url), now=lambda: NOW) as guard:
        token = encoded(claims(), key, algorithm)
        header, _, signature = token.split(".")

        assert "ada" == (await granted(guard, token)).subject
        refusal = await refused(guard, f"{header}.{segment(claims(sub='eve'))}.{signature}")
        assert CloseCode.UNAUTHENTICATED == refusal.code


@pytest.mark.parametrize("algorithm", sorted(SYMMETRIC))
async def test_a_token_by_the_secret_is_good(algorithm: Any) -> None:
    guard = guarded(JwtRules((algorithm,), audience="logrelay"))

    assert "ada" == (await granted(guard, encoded(claims(), KEY, algorithm))).subject


async def test_a_token_without_a_kid_is_good_where_one_key_fits(issuer: Issuer, by_keys: JwtGuard) -> None:
    assert "ada" == (await granted(by_keys, by(P256, "ES256", {"alg": "ES256"}))).subject


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "jwt"}, {"typ": "at+jwt"}, {"typ": "application/at+JWT"}, {"kid": "any"}, {"cat": "unknown"},
        {"x5c": ["A" * 4000]}, {"x5t": "AAAA"},
    ],
)  # fmt: skip
async def test_headers_that_change_nothing_are_passed_over(header: Any) -> None:
    assert "ada" == (await granted(guarded(), hs(header={"alg": "HS256", **header}))).subject


async def test_a_token_may_be_as_long_as_the_limit_and_no_longer() -> None:
    spare = (TOKEN_LIMIT - len(claiming(more=""))) * 3 // 4
    longest = claiming(more="x" * spare)

    assert TOKEN_LIMIT - 4 < len(longest) <= TOKEN_LIMIT
    assert "ada" == (await granted(guarded(), longest)).subject
    await refused(guarded(), claiming(more="x" * (spare + 4)))


async def test_a_grant_says_what_the_token_says() -> None:
    token = claiming(**{"logrelay:services": ["api", "svc-web"]}, iat=NOW - 7, exp=NOW + 90)

    before = time.monotonic()
    grant = await granted(guarded(), token)
    after = time.monotonic()

    assert "jwt" == grant.kind
    assert "ada" == grant.subject
    assert frozenset({ENV}) == grant.environments
    assert Filter.of_services(["api", "svc-web"]) == grant.scope
    assert NOW - 7 == grant.issued
    assert grant.until is not None
    assert before + 90 <= grant.until <= after + 90


async def test_a_token_needs_no_more_than_its_end() -> None:
    grant = await granted(guarded(JwtRules(("HS256",))), hs({"exp": NOW + 1}))

    assert (None, None, frozenset(), EVERYTHING) == (
        grant.subject,
        grant.issued,
        grant.environments,
        grant.scope,
    )


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("*", None), ([ENV], {ENV}), ([ENV, "env-2", ENV], {ENV, "env-2"}), ([], set()), (None, set()), (ENV, set()),
        ("", set()), ("**", set()), (1, set()), (True, set()), ({ENV: 1}, set()), ([ENV, 1], set()), ([[ENV]], set()),
        ([None], set()), ([ENV, ""], set()), ([ENV, "a\n"], set()), ([f"{ENV} "], {f"{ENV} "}), ("all", set()),
    ],
)  # fmt: skip
async def test_environments_are_a_list_of_ids_or_a_star_and_nothing_else(claim: Any, expected: Any) -> None:
    grant = await granted(guarded(), claiming(**{"logrelay:environments": claim}))

    assert expected == grant.environments
    assert grant.covers(ENV) is (expected is None or ENV in expected)
    assert grant.covers("another") is (expected is None)


async def test_a_star_among_ids_is_no_star() -> None:
    grant = await granted(guarded(), claiming(**{"logrelay:environments": ["*"]}))

    assert not grant.covers(ENV)


async def test_environments_that_are_null_allow_nothing() -> None:
    grant = await granted(guarded(), hs(text_claims(**{"logrelay:environments": "null"})))

    assert frozenset() == grant.environments


async def test_a_token_for_no_service_may_see_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = await refused(guarded(), claiming(**{"logrelay:services": []}))

    assert (CloseCode.NOT_ALLOWED, "not_allowed") == (refusal.code, refusal.error)
    assert ["services"] == [vars(record)["reason"] for record in caplog.records if "reason" in vars(record)]


async def test_the_names_of_the_claims_can_be_chosen() -> None:
    rules = JwtRules(
        ("HS256",), "logrelay", environments_claim="https://example.com/envs", services_claim="svc"
    )
    token = claiming(**{"https://example.com/envs": ["env-2"], "svc": ["web"], "logrelay:services": 1})

    grant = await granted(guarded(rules), token)

    assert frozenset({"env-2"}) == grant.environments
    assert Filter.of_services(["web"]) == grant.scope


@pytest.mark.parametrize(
    ("audience", "claim", "good"),
    [
        ("a", "a", True), ("a", ["a"], True), ("a", ["b", "a"], True), ("a", "b", False), ("a", ["b"], False),
        ("a", None, False), ("a", [], False), (None, None, True), (None, [], True), (None, "a", False),
        (None, ["a"], False), (None, "", False),
    ],
)  # fmt: skip
async def test_a_token_for_somebody_else_is_refused(audience: Any, claim: Any, good: Any) -> None:
    guard = guarded(JwtRules(("HS256",), audience))

    if good:
        assert "ada" == (await granted(guard, claiming(aud=claim))).subject
    else:
        await refused(guard, claiming(aud=claim))


async def test_any_issuer_is_good_where_none_is_named() -> None:
    guard = guarded(JwtRules(("HS256",), "logrelay"))

    assert "ada" == (await granted(guard, claiming(iss="anybody"))).subject
    assert "ada" == (await granted(guard, claiming(iss=None))).subject


async def test_a_token_ends_when_it_says_and_begins_within_the_leeway() -> None:
    now = float(NOW)
    guard = guarded(JwtRules(("HS256",), "logrelay", leeway=5.0), now=lambda: now)
    token = claiming(iat=NOW + 5, nbf=NOW + 5, exp=NOW + 10)

    now = NOW - 0.5
    assert "unauthenticated" == (await refused(guard, token)).error
    now = NOW
    assert "ada" == (await granted(guard, token)).subject
    now = NOW + 9.999
    assert 0 < ((await granted(guard, token)).seconds or 0) < 0.002
    now = NOW + 10
    assert "expired" == (await refused(guard, token)).error


async def test_the_clock_of_this_machine_counts_unless_told_otherwise() -> None:
    guard = JwtGuard(JwtRules(("HS256",), "logrelay"), Secret(SECRET))
    now = int(time.time())

    assert "ada" == (await granted(guard, claiming(exp=now + 60))).subject
    assert "expired" == (await refused(guard, claiming(exp=now - 1))).error


@pytest.mark.parametrize("source", Source)
async def test_without_a_token_nobody_is_let_in(source: Any) -> None:
    with pytest.raises(Disconnect, match="4401"):
        await guarded().grant(Credential(source, headers={"Authorization": f"Bearer {GOOD}"}), ENV)


async def test_a_token_of_a_rotated_key_is_good_right_after_the_fetch(issuer: Issuer) -> None:
    clock = Clock()
    async with JwtGuard(ASYMMETRIC_RULES, Jwks(issuer.url, clock=clock), now=lambda: NOW) as guard:
        assert "ada" == (await granted(guard, by(P256, "ES256"))).subject
        issuer.keys = [new := ec("new")]
        clock.ahead += 31

        tokens = [by(new, "ES256"), *(by(P256, "ES256", kid=f"made up {number}") for number in range(300))]
        results = await asyncio.gather(*(granted(guard, token) for token in tokens), return_exceptions=True)

        assert isinstance(results[0], Grant)
        assert all(isinstance(result, Disconnect) for result in results[1:])
        assert 2 == issuer.asked
        assert CloseCode.UNAUTHENTICATED == (await refused(guard, by(P256, "ES256"))).code


async def test_where_keys_do_not_come_nobody_is_let_in_nor_told_that_the_token_is_bad(issuer: Issuer) -> None:
    async with Issuer() as gone:
        url = gone.url

    async with JwtGuard(ASYMMETRIC_RULES, Jwks(url), now=lambda: NOW) as guard:
        refusal = await refused(guard, by(RSA, "RS256"))
        assert (CloseCode.INTERNAL, True) == (refusal.code, refusal.retryable)
        assert "failing" == guard.describe()["state"]
        assert CloseCode.UNAUTHENTICATED == (await refused(guard, GOOD)).code  # this one is bad in any case


async def test_a_reload_has_live_connections_judged_by_new_keys(by_keys: JwtGuard, issuer: Issuer) -> None:
    issuer.keys = [RSA]

    assert by_keys.reload()

    assert "ada" == (await granted(by_keys, by(RSA, "RS256"))).subject
    assert CloseCode.UNAUTHENTICATED == (await refused(by_keys, by(P256, "ES256"))).code
    assert {"state": "ok"} == by_keys.describe()


async def test_a_secret_can_be_replaced() -> None:
    other = b"another secret of the same length"
    secret = Secret(SECRET)
    async with JwtGuard(RULES, secret, now=lambda: NOW) as guard:
        assert not guard.reload()
        assert not secret.replace(SECRET)
        with pytest.raises(ValueError, match="32 bytes"):
            secret.replace(b"short")
        assert "ada" == (await granted(guard, GOOD)).subject

        assert secret.replace(other)

        assert CloseCode.UNAUTHENTICATED == (await refused(guard, GOOD)).code
        assert "ada" == (await granted(guard, hs(key=OctKey.import_key(other)))).subject
        assert {"state": "ok"} == guard.describe()
        assert ("jwt", None) == (guard.mode, guard.recheck)


@pytest.mark.parametrize(
    "secret",
    [
        b"", b"secret", b"x" * 31, RSA.as_pem(), RSA.as_der(), RSA.as_pem(private=True), P256.as_pem(),
        b"\n" + RSA.as_pem(), json.dumps(RSA.as_dict()).encode(), json.dumps(KEY.as_dict()).encode(),
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVg broken but alike",
    ],
)  # fmt: skip
def test_what_is_no_good_secret_is_refused_and_not_repeated(secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"32 bytes or more; `openssl|random bytes") as caught:
        Secret(secret)

    assert caught.value.__cause__ is caught.value.__context__ is None
    assert len(secret) < 8 or secret.decode("latin-1")[8:40] not in str(caught.value)


def test_nothing_shows_a_secret() -> None:
    guard = guarded()

    assert "<JwtGuard HS256 by <Secret>>" == repr(guard)


@pytest.mark.parametrize(
    "algorithms",
    [(), ("none",), ("HS256", "none"), ("RS256",), ("HS256", "RS256"), ("hs256",), ("HS256", ""), ("HS1",)],
)
def test_a_secret_is_for_hmac_only(algorithms: Any) -> None:
    with pytest.raises(ValueError, match="HS256, HS384, HS512"):
        guarded(JwtRules(algorithms))


@pytest.mark.parametrize(
    "algorithms",
    [(), ("none",), ("RS256", "None"), ("HS256",), ("RS256", "HS256"), ("ES256K",), ("rs256",), ("Ed448",)],
)
def test_a_key_set_is_for_anything_but_hmac(algorithms: Any) -> None:
    with pytest.raises(ValueError, match="ES256, ES384, ES512"):
        JwtGuard(JwtRules(algorithms), Jwks("https://issuer.example.com/jwks"))
    assert not ASYMMETRIC & SYMMETRIC


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("leeway", {"leeway": -1}), ("leeway", {"leeway": 61}), ("leeway", {"leeway": float("nan")}),
        ("claims", {"environments_claim": ""}), ("claims", {"services_claim": ""}),
        ("different", {"services_claim": "logrelay:environments"}),
        ("audience", {"audience": ""}), ("issuer", {"issuer": ""}),
    ],
)  # fmt: skip
def test_rules_that_can_not_hold_are_refused(fault: Any, rule: Any) -> None:
    with pytest.raises(ValueError, match=fault):
        JwtRules(("HS256",), **rule)


def test_a_secrets_file_is_read_again_and_a_bad_one_leaves_the_last(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"a" * 40 + b"\n")
    secret = Secret(b"a" * 40, path)

    assert not secret.reload()  # the same
    path.write_bytes(b"too short")
    assert not secret.reload()
    assert secret.describe()["state"] == "failing"
    path.write_bytes(b"b" * 40)
    assert secret.reload()
    assert secret.describe() == {"state": "ok"}
    path.unlink()
    assert not secret.reload()
