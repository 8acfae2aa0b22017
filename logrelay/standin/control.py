"""Faults by HTTP, for the demo and for curl: what a test does by calling, a person does by posting.

Answers to this machine only. `GET /control` shows the state; `POST /control/<fault>` takes its
parameters from the query or from a JSON object.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import web

from logrelay.standin.faults import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrelay.standin.server import StandIn

ACTIONS = (
    "reset",
    "fin",
    "cut_mid_frame",
    "close",
    "complete",
    "error",
    "next_errors",
    "send_raw",
    "reset_all",
)
ANSWERS = ("refuse_upgrade", "http")


def add_control(app: web.Application, railway: StandIn) -> None:
    """Add the control's routes."""
    control = _Control(railway)
    app.router.add_get("/control", control.show)
    app.router.add_post("/control/{fault}", control.provoke)


def _only_here(request: web.Request) -> None:
    try:
        here = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        here = False
    # A page of some other site can reach this port by way of the browser, but not without an Origin.
    if not here or "Origin" in request.headers:
        raise web.HTTPForbidden(text="the control answers to this machine only\n")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _parameters(request: web.Request) -> dict[str, Any]:
    parameters = {name: _value(text) for name, text in request.query.items()}
    if request.can_read_body:
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise web.HTTPBadRequest(text="the body has to be a JSON object\n")
        parameters |= body
    return parameters


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("value has to be true or false")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _answer(status: Any = 503, headers: Any = None, body: Any = "", count: Any = None) -> Any:
    if headers is not None and not isinstance(headers, dict):
        raise TypeError("headers has to be an object")
    text = body if isinstance(body, str) else json.dumps(body)
    answer = (int(status), {str(name): str(value) for name, value in (headers or {}).items()}, text)
    return answer if count is None else (*answer, int(count))


def _pieces(n: Any = 1, seconds: Any = 1.0) -> tuple[int, float]:
    return max(1, int(n)), float(seconds)


_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": _boolean,
    "float": float,
    "str | None": _text,
    "int | None": _count,
}


def _setting(name: str, kind: str, given: dict[str, Any]) -> Any:
    """Read a setting; bare, a switch is turned on, and `value=null` puts any setting back."""
    if "value" in given and given["value"] is None:
        return SETTINGS[name]
    if name in ANSWERS:
        return _answer(**given)
    if name == "split_bytes":
        return _pieces(**given)
    if set(given) - {"value"} or (not given and kind != "bool"):
        raise TypeError("it takes one parameter, value")
    return _READERS[kind](given.get("value", True))


@attrs.frozen
class _Control:
    """The routes' answers."""

    _railway: StandIn

    async def show(self, request: web.Request) -> web.Response:
        """Show what there is and what goes wrong."""
        _only_here(request)
        return web.json_response(self._state())

    async def provoke(self, request: web.Request) -> web.Response:
        """Provoke a fault, or change a setting."""
        _only_here(request)
        name = request.match_info["fault"]
        parameters = await _parameters(request)
        if name not in (*SETTINGS, *ACTIONS):
            known = ", ".join(sorted((*SETTINGS, *ACTIONS)))
            raise web.HTTPBadRequest(text=f"no such fault; there are: {known}\n")
        try:
            await self._apply(name, parameters)
        except (TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"{name}: {error}\n") from None
        return web.json_response(self._state())

    async def _apply(self, name: str, given: dict[str, Any]) -> None:
        faults = self._railway.faults
        if name in SETTINGS:
            kind = str(attrs.fields_dict(type(faults))[name].type)
            setattr(faults, name, _setting(name, kind, given))
            return
        if set(given) - {"message", "code", "reason"}:
            raise TypeError("it takes no parameters but message, or code and reason")
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
        given = texts | {"code": int(texts.get("code", "1000"))} if name == "close" else texts
        action = getattr(faults, name)
        inspect.signature(action).bind(**given)
        done = action(**given)
        if inspect.isawaitable(done):
            await done

    def _state(self) -> dict[str, Any]:
        railway = self._railway
        environments = [
            {
                "id": environment.id,
                "name": environment.name,
                "services": [service.name for service in environment.services],
                "rows": len(environment.rows),
            }
            for environment in railway.world.environments
        ]
        return {
            "environments": environments,
            "openSockets": railway.journal.open_sockets,
            "openSubscriptions": railway.journal.open_subscriptions,
            "totalConnections": railway.journal.total_connections,
            "queries": len(railway.journal.queries),
            "faults": railway.faults.settings,
            "actions": list(ACTIONS),
        }
