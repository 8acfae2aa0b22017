"""What the main API's answer says in forward mode (protocol.md section 6). Remembers nothing.

Whatever isn't a clear yes is a no: only a 2xx lets in, and a 2xx whose JSON can't be read is no answer.
"""

from collections.abc import Callable
from typing import Annotated

import aiohttp
import msgspec

from logrelay.errors import Disconnect
from logrelay.web import endings

BODY_LIMIT = 65536  # bytes of an answer's JSON
TEXT_LIMIT = 200  # characters of a subject and of a service's name or id

Refusal = Callable[[], Disconnect]  # one of `endings`
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LIMIT)]


class Narrowing(msgspec.Struct, frozen=True):
    """The JSON of a 2xx. What isn't told narrows nothing; what is told wrongly makes the whole answer unreadable.

    A null is told wrongly: it could as well mean none as all.
    """

    services: list[_Text] | msgspec.UnsetType = msgspec.UNSET
    subject: _Text | msgspec.UnsetType = msgspec.UNSET
    seconds: Annotated[float, msgspec.Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET


class NoAnswer(Exception):
    """The main API has decided nothing. Its one argument is why, in a word or two of ours."""


async def read(response: aiohttp.ClientResponse) -> Narrowing | Refusal:
    """What an answer says, or how the connection ends for it.

    Raises NoAnswer where it decides nothing, and aiohttp's errors where it breaks off.
    """
    if response.status == 401:  # noqa: PLR2004 HTTP's own numbers
        return endings.unauthenticated
    if response.status == 403:  # noqa: PLR2004 as above
        return endings.not_allowed
    if not 200 <= response.status < 300:  # noqa: PLR2004 as above
        raise NoAnswer(f"status {response.status}")
    kind = response.content_type
    if kind in {"text/html", "application/xhtml+xml"}:
        raise NoAnswer("answer")  # a page for people, such as one to sign in, is no yes
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > BODY_LIMIT:
            raise NoAnswer("answer")
    framed = response.content_length is not None or "Transfer-Encoding" in response.headers
    if not body and framed:  # without a frame, nothing could as well be all that came of something
        return Narrowing()
    told = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not told and not body.lstrip().startswith(b"{"):
        return Narrowing()  # `OK`, say; but what looks like JSON is meant to narrow, whatever it is sent as
    return _parse(bytes(body))


def _parse(body: bytes) -> Narrowing:
    try:
        narrowing = msgspec.json.decode(body, type=Narrowing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoAnswer("answer") from None
    if isinstance(narrowing.subject, str) and not narrowing.subject.isprintable():
        raise NoAnswer("answer")
    return narrowing
