"""Whom a receiver without a token answers: programs that call it by a name of its own, and no page of another site.

A browser posts whatever a page tells it to, to any address that it can reach, and a page's owner can have his own name
lead to that address (DNS rebinding). The browser tells by headers that no page can set: `Host` has the name that was
asked for, `Origin` and `Sec-Fetch-Site` say where the page came from.

What a network says of this machine (its reverse DNS, a search domain) makes no name its own, as others may say it.
"""

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable

from aiohttp import web

from syncd.receiver.errors import Refusal, Refused

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@]+)(:[0-9]{1,5})?", re.ASCII)
_LONGEST = 255


def own_names(host: str, allowed: Iterable[str] = ()) -> frozenset[str]:
    """Return the names of a receiver that listens at `host`: loopback, that address, and the `allowed` ones.

    At an address that others can reach also the name of this machine, as it is and as mDNS makes it.
    """
    names = {*_LOOPBACK, _normalized(host), *map(_normalized, allowed)}
    if not is_loopback(host):
        machine = socket.gethostname().lower()
        label = machine.partition(".")[0]
        names |= {machine, label, f"{label}.local"}
    return frozenset(names)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens at `host`."""
    try:
        return ipaddress.ip_address(_normalized(host)).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_foreign(request: web.Request, names: Collection[str]) -> None:
    """Refuse a request for another name than `names` and the address that it came to, and one from another site."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not _is_own(request, hosts[0], names):
        shown = ascii(", ".join(map(_name, hosts))[:_LONGEST])
        advice = "call it by its own address, or have it started with --allow-host and this name, or with a token"
        raise Refused(Refusal.HOST_NOT_ALLOWED, f"This receiver does not go by the name {shown}; {advice}.")
    origins = request.headers.getall("Origin", [])
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        raise Refused(Refusal.CROSS_SITE)
    if any(site not in ("same-origin", "none") for site in sites):
        raise Refused(Refusal.CROSS_SITE)


def _is_own(request: web.Request, host: str, names: Collection[str]) -> bool:
    if _HOST.fullmatch(host) is None:
        return False
    name = _normalized(_name(host))
    address = request.get_extra_info("sockname")
    return name in names or (isinstance(address, tuple) and name == _normalized(address[0]))


def _name(host: str) -> str:
    """Return what is before the port in a `Host`; all of it where it is no such thing."""
    match = _HOST.fullmatch(host)
    return match[1] if match else host


def _normalized(host: str) -> str:
    """Return a name or an address in the one form in which they are compared."""
    host = host.lower().removeprefix("[").removesuffix("]").partition("%")[0]  # a zone is never in a Host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(getattr(address, "ipv4_mapped", None) or address)
