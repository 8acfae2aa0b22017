"""The body of `POST /api/tickets`: what the main API wishes a ticket for. Sentences never repeat what was sent."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from logrelay.errors import ParameterInvalid
from logrelay.relay.filters import NAME_LIMIT, SEARCH_LIMIT, SERVICES_LIMIT
from logrelay.web.tickets import (
    ACCESS_DEFAULT,
    ACCESS_LIMIT,
    REDEEM_DEFAULT,
    REDEEM_LIMIT,
    SUBJECT_LIMIT,
)

_Name = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT)]
_Subject = Annotated[str, Meta(min_length=1, max_length=SUBJECT_LIMIT)]


class Wish(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A ticket, or a share link, as it is wished for."""

    environment: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    services: Annotated[list[_Name], Meta(min_length=1, max_length=SERVICES_LIMIT)] | None = None
    search: Annotated[str, Meta(max_length=SEARCH_LIMIT)] | None = None
    redeem_seconds: Annotated[int, Meta(ge=1, le=REDEEM_LIMIT)] = REDEEM_DEFAULT
    access_seconds: Annotated[int, Meta(ge=1, le=ACCESS_LIMIT)] = ACCESS_DEFAULT
    subject: _Subject | None = None
    share: bool = False


_RIGHT = {
    "environment": "the id of an environment, as text",
    "services": f"a list of 1 to {SERVICES_LIMIT} names or ids of services, or left out for all",
    "search": f"a filter expression of at most {SEARCH_LIMIT} characters",
    "redeemSeconds": f"a whole number from 1 to {REDEEM_LIMIT}",
    "accessSeconds": f"a whole number from 1 to {ACCESS_LIMIT}",
    "subject": f"1 to {SUBJECT_LIMIT} printable characters",
    "share": "true or false",
}
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Wish)}
_TYPES = {name: _FIELDS[name].type for name in _RIGHT}


def read(body: bytes) -> Wish:
    """The wish in a body. Raises ParameterInvalid with a sentence that names the field and says what is right."""
    wished = decoded(body)
    if not wished.keys() <= _TYPES.keys():
        raise ParameterInvalid(f"a field is not known; known are {', '.join(_TYPES)}")
    if "environment" not in wished:
        raise ParameterInvalid(f"environment: {_RIGHT['environment']}")
    read = {}
    for name, value in wished.items():
        try:
            read[_FIELDS[name].name] = msgspec.convert(value, type=_TYPES[name])
        except msgspec.ValidationError:
            raise ParameterInvalid(f"{name}: {_RIGHT[name]}") from None
    wish = Wish(**read)
    if not all(name.isprintable() and name == name.strip() for name in wish.services or ()):
        raise ParameterInvalid(f"services: {_RIGHT['services']}; printable, without spaces around them")
    if wish.subject is not None and not wish.subject.isprintable():
        raise ParameterInvalid(f"subject: {_RIGHT['subject']}")
    return wish


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises ParameterInvalid."""
    try:
        read = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise ParameterInvalid("the body must be a JSON object")
    return read
