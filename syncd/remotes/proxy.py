"""Looks up the proxy that the environment variables name."""

import urllib.request
from ipaddress import ip_address

from yarl import URL


class EnvironmentProxies:
    """Caches the results of :func:`environment_proxy`, which reads all variables each time."""

    def __init__(self) -> None:
        self._known: dict[URL, str | None] = {}

    def get(self, url: URL) -> str | None:
        """Return the URL of the proxy for ``url``; None without a proxy."""
        origin = url.origin()
        if origin not in self._known:
            self._known[origin] = environment_proxy(origin)
        return self._known[origin]


def environment_proxy(url: URL) -> str | None:
    """Return the URL of the proxy for ``url``; None without a proxy.

    Requests to this machine use no proxy, as in Go.
    """
    host = url.host or ""
    if host == "localhost" or _is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxy = urllib.request.getproxies().get(url.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
