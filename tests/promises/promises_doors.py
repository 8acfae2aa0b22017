"""Where a secret can come in at a relay: headers, queries, paths, messages, bodies, and what can't be parsed at all."""

import base64
import json
from collections.abc import Iterator

from promises_hunt import BINARY, PING, Hunt, Knock, frame, request, upgrade


def headers(hunt: Hunt, path: str) -> Iterator[Knock]:
    """What a caller shows in headers of a handshake, as it should be or not."""
    at = hunt.at
    encoded = base64.urlsafe_b64encode(at("subprotocol").encode()).decode().rstrip("=")
    basic = base64.b64encode(f"user:{at('basic')}".encode()).decode()
    for shown in (
        (f"Authorization: Bearer {at('bearer')}",),
        (f"Authorization: Bearer {at('first of two')}", f"Authorization: Bearer {at('second of two')}"),
        (f"Authorization: bEaReR   {at('bearer, oddly written')}",),
        (f"Authorization: Bearer {at('bearer of two words')} {at('second word')}",),
        (f"Authorization: Bearer \xe9{at('bearer, not ASCII')}",),
        (f"Authorization: Bearer {at('long bearer')}{'x' * 7000}",),
        (f"Authorization: Basic {basic}",),
        (f"Authorization: Digest username={at('digest')}",),
        (f"Authorization: {at('no scheme')}",),
        (f"Authorization: Bearer lrt1.{at('made-up ticket')}.{at('its signature')}",),
        (f"Authorization: Bearer lrs1.{at('made-up link')}.x",),
        (f"Authorization: Bearer eyJhbGciOiJub25lIn0.{at('made-up token')}.",),
        (f"Sec-WebSocket-Protocol: logrelay.v1, bearer.{encoded}",),
        (f"Sec-WebSocket-Protocol: bearer.{at('subprotocol, not encoded')}==",),
        (f"Sec-WebSocket-Protocol: logrelay.v1, bearer.%2B{at('subprotocol with a percent')}",),
        (
            f"Sec-WebSocket-Protocol: bearer.{at('one of two subprotocols')}, bearer.{at('other subprotocol')}",
        ),
        (f"Sec-WebSocket-Protocol: {at('unknown subprotocol')}",),
        (f"Cookie: session={at('cookie')}",),
        (f"Cookie: session={at('own page, cookie')}", "Origin: http://127.0.0.1"),
        (f"Origin: https://{at('origin')}.example",),
        (f"Origin: {at('origin, no address')}",),
        (f"Host: {at('host')}.example",),
        (f"Host: user:{at('password of a host')}@127.0.0.1",),
        (f"X-Forwarded-For: {at('forwarded for')}", f"X-Forwarded-Host: {at('forwarded host')}"),
        (f"Forwarded: for={at('forwarded')}",),
        (f"User-Agent: {at('user agent')}", f"Referer: https://x/?token={at('referer')}"),
        (f"X-Api-Key: {at('api key')}", f"X-Request-Id: {at('request id')}"),
        (f"Proxy-Authorization: Bearer {at('proxy authorization')}", f"X-{at('name of a header')}: x"),
        (f"Last-Event-ID: {at('last event')}", f"Accept-Language: {at('language')}"),
        (f"Sec-WebSocket-Key: {at('key of a handshake')}",),
        (f"Sec-WebSocket-Version: {at('version')}",),
        (f"Sec-WebSocket-Extensions: {at('extension')}",),
        (f"Upgrade: {at('upgrade')}",),
    ):
        yield Knock(upgrade(f"{path}?tail=0", *shown), (frame('{"type":"ping"}'),))


def parameters(hunt: Hunt, path: str, good: tuple[str, ...]) -> Iterator[Knock]:
    """What stands in queries and paths, by a caller who shows nothing else, and by one who may look."""
    at = hunt.at
    names = "token access_token jwt api_key ticket Authorization unknown batch search services severity"
    names += " lastTimestamp lastId overlap tail"
    queries = {name: f"{name}={at(f'query {name}')}" for name in names.split()}
    queries |= {
        "two tickets": f"ticket={at('first ticket')}&ticket={at('second ticket')}",
        "own kind": f"ticket=lrt1.{at('ticket of no one')}.{at('signature of no one')}",
        "name": f"{at('name of a parameter')}=1",
        "open quote": f"search=%22{at('open quote')}",
        "pattern": f"search=/({at('broken pattern')}/",
        "attribute": f"search=@{at('attribute')}:{at('value of an attribute')}",
        "service": f"services=api,{at('second service')}",
        "percent": f"search=%zz{at('broken percent')}",
        "NUL": f"search=%00{at('NUL')}",
        "long": f"search={at('long search')}{'x' * 5000}",
    }
    # A filter is told to the one whose it is, as it was understood.
    told = ("query search", "query services", "value of an attribute", "attribute", "second service", "NUL")
    told += ("broken percent",)
    for query in queries.values():
        for shown in {(), good}:
            yield Knock(upgrade(f"{path}?{query}", *shown), (frame('{"type":"ping"}'),), told)
    environment = path.split("/")[3]
    for target in (
        path.replace(environment, at("environment")),
        path.replace(environment, f"%00{at('environment with NUL')}"),
        f"{path}/{at('path below')}",
    ):
        for shown in {(), good}:
            yield Knock(upgrade(target, *shown), (frame('{"type":"ping"}'),))


def messages(hunt: Hunt, path: str, good: tuple[str, ...]) -> Iterator[Knock]:
    """What a caller says, before and after it was let in."""
    at = hunt.at
    says: dict[str, str | bytes] = {
        "auth": json.dumps({"type": "auth", "token": at("auth message")}),
        "auth of a JWT": json.dumps({"type": "auth", "token": f"eyJhbGciOiJIUzI1NiJ9.{at('auth JWT')}.x"}),
        "auth cut off": f'{{"type":"auth","token":"{at("auth, cut off")}',
        "auth of another type": json.dumps(
            {"type": "auth", "token": {at("auth, a name"): at("auth, an object")}}
        ),
        "auth with more": json.dumps(
            {"type": "auth", "token": at("auth, more"), at("a field"): at("its value")}
        ),
        "auth with a space": json.dumps({"type": "auth", "token": f"{at('auth, a space')} x"}),
        "type": json.dumps({"type": at("type")}),
        "no JSON": at("no JSON"),
        "array": json.dumps([at("array")]),
        "open quote": json.dumps({"type": "filter", "search": f'"{at("filter, open quote")}'}),
        "services": json.dumps({"type": "filter", "services": at("filter, services")}),
        "severity": json.dumps({"type": "filter", "severity": at("filter, severity")}),
        "filter": json.dumps({"type": "filter", "search": at("filter")}),
        "ping": json.dumps({"type": "ping", "id": at("ping")}),
        "history": json.dumps(
            {"type": "history", "before": at("history"), "request": at("history, request")}
        ),
    }
    told = ("filter", "ping", "ping frame", "history, request")
    broken = (
        frame(at("binary message"), BINARY),
        frame(b"\xff\xfe" + at("no UTF-8").encode()),
        frame(at("long message") + "x" * 20_000),
        bytes([0xF1, 0x9C]) + bytes(4) + at("reserved bits").encode()[:28],
    )
    frames = [(frame(said),) for said in says.values()]
    frames += [(one,) for one in broken]
    frames += [(frame(at("ping frame"), PING),)]
    for sent in frames:
        for shown in {(), good}:
            yield Knock(upgrade(f"{path}?tail=0", *shown), sent, told)


def broken(hunt: Hunt, path: str) -> Iterator[Knock]:
    """What aiohttp's parser refuses, or no route is for."""
    at = hunt.at
    long = "x" * 9000
    for count, (line, *more) in enumerate(
        (
            (f"GET {path}?ticket={{0}} HTTP/1.1", "Authorization: Bearer {1}\0"),
            (f"GET {path}?ticket={{0}} HTTP/1.1", "Authorization : Bearer {1}"),
            (f"GET {path}?ticket={{0}} HTTP/7.7", "Authorization: Bearer {1}"),
            (f"GE\x01T {path}?ticket={{0}} HTTP/1.1", "Authorization: Bearer {1}"),
            ("GET http://[{0} HTTP/1.1", "Authorization: Bearer {1}"),
            (f"GET {path}?ticket={{0}}{long} HTTP/1.1", "Authorization: Bearer {1}"),
            (f"GET {path}?ticket={{0}} HTTP/1.1", f"Authorization: Bearer {{1}}{long}"),
            (f"POST {path}?ticket={{0}} HTTP/1.1", "Content-Length: {1}"),
            (f"POST {path} HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: {0}", "X-Api-Key: {1}"),
            ("{0} / HTTP/1.1", "Authorization: Bearer {1}"),
            ("GET /{0}?token={1} HTTP/1.1",),
            ("GET http://user:{0}@127.0.0.1/{1} HTTP/1.1",),
            ("GET /healthz?token={0} HTTP/1.1", "Authorization: Bearer {1}"),
            ("GET /readyz?token={0} HTTP/1.1", "Cookie: session={1}"),
            ("GET /metrics?name[]={0} HTTP/1.1", "Accept: application/{1}; version=1"),
            ("OPTIONS /readyz HTTP/1.1", "Origin: https://{0}.example", "Access-Control-Request-Method: {1}"),
            ("OPTIONS /readyz HTTP/1.1", "Origin: http://x", "Access-Control-Request-Headers: {0}, {1}"),
            (f"DELETE {path}?token={{0}} HTTP/1.1", "Authorization: Bearer {1}"),
            (f"GET {path}?token={{0}} HTTP/1.1", "Authorization: Bearer {1}", "Accept: text/event-stream"),
            ("GET /api/environments?token={0} HTTP/1.1", "Authorization: Bearer {1}"),
            ("GET /api/environments/{0} HTTP/1.1", "Authorization: Bearer {1}"),
        ),
        start=1,
    ):
        words = (at(f"broken or foreign {count}, query"), at(f"broken or foreign {count}, header"))
        filled = [part.format(*words) for part in (line, *more)]
        yield Knock(request(*filled, "Connection: close"))


def ticket_requests(hunt: Hunt, secret: str, environment: str) -> Iterator[Knock]:
    """What is asked of the tickets' own routes, where they are and where they aren't."""
    at = hunt.at
    bodies = {
        "cut off": f'{{"environment":"{at("body, cut off")}',
        "no object": json.dumps([at("body, no object")]),
        "field": json.dumps({"environment": environment, at("body, a field"): at("body, its value")}),
        "environment": json.dumps({"environment": at("body, environment")}),
        "long environment": json.dumps({"environment": at("body, long environment") * 9}),
        "services": json.dumps({"environment": environment, "services": at("body, services")}),
        "search": json.dumps({"environment": environment, "search": f'"{at("body, open quote")}'}),
        "seconds": json.dumps({"environment": environment, "redeemSeconds": at("body, seconds")}),
        "subject": json.dumps({"environment": environment, "subject": [at("body, subject")]}),
        "control": json.dumps({"environment": environment, "subject": f"\x1b{at('body, control')}"}),
        "large": json.dumps({"environment": environment, "subject": at("body, large") * 900}),
    }
    plain = ("Content-Type: application/json", "Connection: close")
    for body in bodies.values():
        for shown in (secret, at("wrong secret")):
            yield Knock(
                request("POST /api/tickets HTTP/1.1", f"Authorization: Bearer {shown}", *plain, body=body)
            )
    for odd in (
        (f"Content-Type: {at('content type')}/x",),
        ("Content-Type: application/json", f"Content-Encoding: {at('content encoding')}"),
        ("Content-Type: application/json", f"Origin: https://{at('origin of a ticket')}.example"),
    ):
        yield Knock(
            request(
                "POST /api/tickets HTTP/1.1",
                f"Authorization: Bearer {secret}",
                "Connection: close",
                *odd,
                body=bodies["field"],
            )
        )
    for target, shown in (
        (f"/api/tickets/%1b{at('ticket to revoke')}", secret),
        (f"/api/subjects/%1b{at('subject to revoke')}", secret),
        (f"/api/tickets/{at('ticket, not allowed')}", at("secret of a DELETE")),
        (f"/api/subjects/{at('subject, not allowed')}", f"{at('secret with a space')} x"),
    ):
        yield Knock(
            request(f"DELETE {target} HTTP/1.1", f"Authorization: Bearer {shown}", "Connection: close")
        )
