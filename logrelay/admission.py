"""Composes who may connect, out of the settings: the mode's guard, tickets, origins, limits, and the environments."""

import asyncio
import contextlib
import logging
import ssl
import time

from logrelay import descriptors
from logrelay.errors import UpstreamError
from logrelay.railway.answers import QueryFailed
from logrelay.railway.ends import Ends
from logrelay.railway.gateway import Gateway
from logrelay.railway.network import proxy_for
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.settings import Settings
from logrelay.web.access import Access
from logrelay.web.door import Door
from logrelay.web.environments import Environments
from logrelay.web.forward import ForwardGuard
from logrelay.web.grants import Guard
from logrelay.web.leases import Leases
from logrelay.web.origins import Origins, Proxies, is_loopback
from logrelay.web.places import Handshakes, Places
from logrelay.web.tickets import Tickets
from logrelay.web.tickets_api import TicketsApi
from logrelay.web.tokens import TokenGuard

logger = logging.getLogger(__name__)

_RECHECK = 60.0  # seconds (faults.md C20)


def make_door(settings: Settings) -> Door:
    """What is looked at before anything is done for a caller, as configured."""
    chosen = settings.access
    access = Access(
        _environments(settings),
        _guard(settings),
        _tickets(settings),
        ticket_only=chosen.mode == "ticket",
    )
    return Door(
        access,
        # Without authentication, a page that rebinds its own name to this machine would be let in.
        Origins(settings.allowed_origins, guard_host=not access.required and is_loopback(settings.host)),
        Places(
            process=min(settings.max_connections, descriptors.room()),
            environment=settings.max_connections_per_environment,
            subject=chosen.max_connections_per_subject,
            address=chosen.max_connections_per_address,
        ),
        Handshakes(per_second=chosen.handshakes_per_second, burst=chosen.handshake_burst),
        Proxies(chosen.trusted_proxies),
    )


def _environments(settings: Settings) -> Environments:
    if settings.environments is None:
        return Environments()
    return Environments(frozenset(settings.environments), everything="*" in settings.environments)


def _guard(settings: Settings) -> Guard | None:
    """The guard of the mode; None where the mode needs none."""
    chosen = settings.access
    if chosen.mode == "token":
        return TokenGuard(chosen.token_list(), chosen.tokens_file)
    if chosen.mode == "jwt":
        return _jwt_guard(settings)
    if chosen.mode == "forward" and chosen.forward_url is not None:
        return ForwardGuard(
            chosen.forward_url,
            timeout=chosen.forward_timeout_seconds,
            cache=chosen.forward_cache_seconds,
            recheck=chosen.forward_recheck_seconds,
        )
    return None


def _jwt_guard(settings: Settings) -> Guard:
    from logrelay.web.jwks import Jwks  # noqa: PLC0415 it brings a cryptographic library along
    from logrelay.web.jwt import JwtGuard, JwtRules, Secret  # noqa: PLC0415 as above

    chosen = settings.access
    rules = JwtRules(
        algorithms=chosen.algorithms,
        audience=chosen.jwt_audience,
        issuer=chosen.jwt_issuer,
        environments_claim=chosen.jwt_environments_claim,
        services_claim=chosen.jwt_services_claim,
        leeway=chosen.jwt_leeway_seconds,
    )
    if chosen.jwt_jwks_url is None:
        return JwtGuard(rules, Secret((chosen.jwt_secret or "").encode(), chosen.jwt_secret_file))
    tls = None if settings.ca_file is None else ssl.create_default_context(cafile=settings.ca_file)
    guard = JwtGuard(rules, Jwks(chosen.jwt_jwks_url, tls=tls, proxy=proxy_for(chosen.jwt_jwks_url)))
    guard.recheck = _RECHECK  # a key that its issuer takes back ends the connections that rest on it
    return guard


def _tickets(settings: Settings) -> Tickets | None:
    chosen = settings.access
    if chosen.service_secret is None:
        return None
    return Tickets(
        chosen.service_secret,
        share_links=chosen.share_links,
        revocations_file=chosen.revocations_file,
    )


def make_leases(access: Access) -> Leases:
    """The grants in use, which are judged anew when the list of tokens changes or something is revoked."""
    leases = Leases(access)
    if isinstance(access.guard, TokenGuard):
        access.guard.changed = leases.look_again
    if isinstance(access.tickets, Tickets):
        access.tickets.on_revoked = leases.end_revoked
    return leases


def make_tickets_api(door: Door, base_path: str) -> TicketsApi | None:
    """The HTTP side of tickets; None where there are none."""
    access = door.access
    if not isinstance(access.tickets, Tickets):
        return None
    return TicketsApi(
        access.tickets, may_serve=access.environments.serves, origin_ok=door.admits, base_path=base_path
    )


async def learn_environment(gateway: Gateway, environments: Environments, ends: Ends) -> None:
    """Ask which environment the project token is for, until Railway says so; refusals are final as a feed's are."""
    while True:
        renewals = gateway.renewals
        try:
            own = await gateway.own_environment()
        except UpstreamError as error:
            reason = str(error)
            verdict = error.verdict if isinstance(error, QueryFailed) else Verdict(Kind.TRANSIENT, reason)
        else:
            environments.learn(own)
            return
        retry = ends.judge(verdict, time.monotonic(), gate=gateway.gate.wait)
        about = {"reason": reason, "delay": round(retry.delay, 3)}
        logger.warning("the token's environment is not known yet", extra=about)
        if retry.final:
            environments.refuse(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(retry.delay):
                await gateway.renewed(renewals)
                ends.renewed()
