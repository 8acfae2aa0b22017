"""`logrelay check`: says whether token, addresses, environments and names work, and how. Changes nothing."""

import asyncio
import time
from collections.abc import Mapping

from logrelay import app, logs, settings
from logrelay.errors import SettingsInvalid, UpstreamError
from logrelay.railway.directory import Directory
from logrelay.railway.gateway import Gateway
from logrelay.railway.transport import SubscriptionEnded
from logrelay.railway.verdicts import of_errors
from logrelay.relay import timestamps

_STANDS_AFTER = 2.0  # seconds without an error


async def run(environ: Mapping[str, str]) -> int:
    """Print a line for each thing that was tried; 0 when all of it works."""
    logs.silence()
    try:
        configured, warnings = settings.read(environ)
    except SettingsInvalid as error:
        for fault in error.faults:
            _bad(fault)
        return 2
    for warning in warnings:
        print(f"  !  {warning}")
    _good(f"settings: Railway at {configured.railway_url}, subscriptions at {configured.websocket_url}")
    async with app.make_gateway(configured) as gateway:
        return await _try_all(configured, gateway)


async def _try_all(configured: settings.Settings, gateway: Gateway) -> int:
    kind = "project token" if gateway.credential.project else "account or workspace token"
    environments = list(configured.environments or ())
    try:
        if gateway.credential.project:
            own = await gateway.own_environment()
            environments = environments or [own]
            _good(f"token: a {kind}, for environment {own}")
        else:
            data = await gateway.query("BearerScope", {})
            names = ", ".join(workspace["name"] for workspace in data["apiToken"]["workspaces"])
            _good(f"token: an {kind}, for {names or 'no workspace'}")
    except UpstreamError as error:
        return _bad(f"token: {error}")
    failures = 0
    for environment_id in environments:
        if environment_id == "*":
            _good("environments: all that the token can see; name one to have it tried")
        else:
            failures += await _try_environment(gateway, environment_id)
    return 1 if failures else 0


async def _try_environment(gateway: Gateway, environment_id: str) -> int:
    directory = Directory(gateway, environment_id)
    try:
        await directory.refresh()
    except UpstreamError as error:
        return _bad(f"environment {environment_id}: {error}")
    described = directory.description
    names = ", ".join(name for _, name in described.services) or "none"
    _good(f"environment {environment_id}: {described.name}; services: {names}")
    try:
        seconds, rows = await _first_frame(gateway, environment_id)
    except SubscriptionEnded as ended:
        return _bad(f"subscription: {ended.verdict.reason}")
    if seconds is None:
        return _good(f"subscription: stands; no frame within {_STANDS_AFTER:g} s, the log is quiet")
    return _good(f"subscription: stands; first frame with {rows} rows after {seconds:.2f} s")


async def _first_frame(gateway: Gateway, environment_id: str) -> tuple[float | None, int]:
    """Seconds until the first frame and its rows; None where none came in time. Raises SubscriptionEnded."""
    began = time.monotonic()
    variables: dict[str, object] = {
        "environmentId": environment_id,
        "beforeDate": timestamps.render(time.time_ns() - 60 * 1_000_000_000),
        "beforeLimit": 100,
    }
    async with gateway.subscription(variables) as batches:
        try:
            async with asyncio.timeout(_STANDS_AFTER):
                batch = await anext(batches)
        except TimeoutError:
            return None, 0
        if not batch.answered:
            raise SubscriptionEnded(of_errors(batch.errors))
        return time.monotonic() - began, len(batch.rows)


def _good(sentence: str) -> int:
    print(f"  ok  {sentence}")
    return 0


def _bad(sentence: str) -> int:
    print(f"  no  {sentence}")
    return 1
