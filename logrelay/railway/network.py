"""How Railway's addresses are reached, by query and by socket alike: proxies, redirects, and what a failure means."""

import urllib.parse
import urllib.request
from types import SimpleNamespace

import aiohttp

from logrelay.railway.verdicts import Kind, Verdict


def http_form(address: str) -> str:
    """A `ws` or `wss` address as `http` or `https`: proxies are looked up for those only."""
    return "http" + address.removeprefix("ws") if address.startswith("ws") else address


def proxy_for(address: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for an address; a WebSocket goes where HTTP goes.

    aiohttp's own `trust_env` isn't used: it would also read ~/.netrc, and then fail or send Railway what stands there.
    """
    parts = urllib.parse.urlsplit(http_form(address))
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


class RedirectRefused(Exception):
    """Railway answered with a redirect; following it would hand the token to whoever it names (faults.md U5)."""


async def refuse_redirect(
    session: aiohttp.ClientSession,  # noqa: ARG001 the signature is aiohttp's
    context: SimpleNamespace,  # noqa: ARG001 as above
    params: aiohttp.TraceRequestRedirectParams,  # noqa: ARG001 as above
) -> None:
    """Stop a redirect before anything is sent to where it leads; for `TraceConfig.on_request_redirect`."""
    raise RedirectRefused("a redirect is not followed")


def of_unreachable(cause: BaseException | None) -> Verdict | None:
    """Judge why no answer came; None where the cause is none of the network's."""
    if isinstance(cause, RedirectRefused):
        return Verdict(Kind.MISFIT, "Railway's address redirects, which is not followed")
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Verdict(Kind.TRANSIENT, "Railway's TLS certificate can't be verified")
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return Verdict(Kind.TRANSIENT, "Railway's host name can't be resolved")
    if isinstance(cause, TimeoutError):
        return Verdict(Kind.TRANSIENT, "Railway did not answer in time")
    if isinstance(cause, OSError | aiohttp.ClientError):
        return Verdict(Kind.TRANSIENT, "Railway can't be reached")
    return None
