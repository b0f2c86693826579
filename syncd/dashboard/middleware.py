"""Decides which requests have access to the dashboard.

Any program on this machine, and any web page in a browser, can send requests.

It checks, in this order: the client is on this machine; ``Host`` is a name of the dashboard, which stops DNS rebinding;
no other site sent the request; the request has the cookie or the token. The files of the page need no login: they are
public, and the page with the login instructions uses some of them.
"""

import ipaddress
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.dashboard.auth import Credentials
from syncd.dashboard.static_files import LOGIN, STATIC, Page

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every response, unless the handler sets another value."""
SOCKET_ONLY = "/v1/dashboard"
"""A logged-in client must not log in others: only the control socket issues tickets."""

_SAFE = ("GET", "HEAD")
_API_PREFIXES = ("/v1/", "/healthz", "/metrics")
_BEARER = "bearer "


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add :data:`HEADERS` to a response before it is sent."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def make_middleware(credentials: Credentials, *, hosts: Collection[str], locked: Page) -> Middleware:
    """Return the middleware that checks requests.

    ``hosts`` are the names of the dashboard; a browser that is not logged in gets the page ``locked``.
    """

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_local(request):
            return _error(403, "only programs on this machine have access")
        if request.host not in hosts:
            return _error(421, "the dashboard does not have this host name")
        if _is_cross_site(request):
            return _error(403, "requests from other sites are refused")
        if not _is_open(request) and not is_authenticated(request, credentials):
            return _unauthorized(request, locked)
        if _canonical(request) == SOCKET_ONLY:
            return _error(404, "only the control socket has this route")
        return await handler(request)

    return check_access


def _is_local(request: web.Request) -> bool:
    peer = request.get_extra_info("peername")
    return bool(peer) and ipaddress.ip_address(peer[0]).is_loopback


def _is_cross_site(request: web.Request) -> bool:
    """Return True if the headers show that a page of another site sent the request.

    A link on any site is allowed.
    """
    if any(origin != f"http://{request.host}" for origin in request.headers.getall("Origin", [])):
        return True
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site == "same-origin":
        return False
    return request.method not in _SAFE or (site != "none" and request.headers.get("Sec-Fetch-Dest") != "document")


def _is_open(request: web.Request) -> bool:
    return _canonical(request) in (LOGIN, STATIC)


def _canonical(request: web.Request) -> str | None:
    resource = request.match_info.route.resource
    return resource.canonical if resource else None


def is_authenticated(request: web.Request, credentials: Credentials) -> bool:
    """Return True if a request has the token or the cookie."""
    given = request.headers.get("Authorization", "")
    if given[: len(_BEARER)].lower() == _BEARER:
        return credentials.matches_token(given[len(_BEARER) :].strip())
    return credentials.matches_cookie(request.cookies.get(credentials.cookie_name, ""))


def _unauthorized(request: web.Request, locked: Page) -> web.Response:
    if request.path.startswith(_API_PREFIXES):
        return _error(401, "no valid cookie or token: log in with syncd ctl open")
    return locked.to_response(status=401)


def _error(status: int, text: str) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer realm="syncd"'} if status == 401 else None
    return web.json_response({"error": text}, status=status, headers=headers)
