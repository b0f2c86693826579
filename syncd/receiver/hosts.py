"""Protects a receiver without a token against web pages, by `Host` and origin.

A web page can make a browser send requests to any address that the browser can reach, and the owner of the page can
point a domain at that address (DNS rebinding). Headers that a page cannot set reveal both: `Host` is the requested
name, `Origin` and `Sec-Fetch-Site` describe the origin of the page.

Names from the network, such as reverse DNS or a search domain, are not own names, because others control them.
"""

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable

from aiohttp import web

from syncd.receiver.errors import ApiError, ErrorCode

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@]+)(:[0-9]{1,5})?", re.ASCII)
_MAX_SHOWN_CHARACTERS = 255


def own_names(host: str, allowed: Iterable[str] = ()) -> frozenset[str]:
    """Return the names of a receiver: loopback, its address `host`, and `allowed`.

    If other machines can reach `host`, add the host name of this machine, plain and with `.local`.
    """
    names = {*_LOOPBACK, _normalized(host), *map(_normalized, allowed)}
    if not is_loopback(host):
        machine = socket.gethostname().lower()
        label = machine.partition(".")[0]
        names |= {machine, label, f"{label}.local"}
    return frozenset(names)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens at `host`."""
    try:
        return ipaddress.ip_address(_normalized(host)).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_host(request: web.Request, names: Collection[str]) -> None:
    """Raise ApiError for a request from another site or to a foreign host name.

    Valid host names are `names` and the local address of the connection.
    """
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not _is_own(request, hosts[0], names):
        shown = ascii(", ".join(map(_name, hosts))[:_MAX_SHOWN_CHARACTERS])
        advice = "use its own address, or start it with --allow-host and this name, or with a token"
        raise ApiError(ErrorCode.HOST_NOT_ALLOWED, f"This receiver does not have the host name {shown}; {advice}.")
    origins = request.headers.getall("Origin", [])
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        raise ApiError(ErrorCode.CROSS_SITE)
    if any(site not in ("same-origin", "none") for site in sites):
        raise ApiError(ErrorCode.CROSS_SITE)


def _is_own(request: web.Request, host: str, names: Collection[str]) -> bool:
    if _HOST.fullmatch(host) is None:
        return False
    name = _normalized(_name(host))
    address = request.get_extra_info("sockname")
    return name in names or (isinstance(address, tuple) and name == _normalized(address[0]))


def _name(host: str) -> str:
    """Return a `Host` without its port, or unchanged if it is malformed."""
    match = _HOST.fullmatch(host)
    return match[1] if match else host


def _normalized(host: str) -> str:
    """Return the canonical form of a host name or an address, for comparison."""
    host = host.lower().removeprefix("[").removesuffix("]").partition("%")[0]  # a Host never has a zone
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(getattr(address, "ipv4_mapped", None) or address)
