"""Where a request may go: the proxy in between, and the places that a redirect points to."""

import urllib.request
from ipaddress import ip_address

from yarl import URL

from syncd.core.errors import Permanent
from syncd.remotes.responses import Answer


def environment_proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for ``url``; never one for this machine itself, as in Go."""
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


def follow(url: URL, answer: Answer) -> URL:
    """Return where the redirect ``answer`` to a GET of ``url`` points; ``Permanent`` if that is no place to go."""
    try:
        target = url.join(URL(answer.headers["location"])).with_user(None)
        host = target.host
    except ValueError:
        host = None
    if not host or target.scheme not in ("http", "https"):
        raise Permanent(f"{answer.host} answered {answer.call} with a redirect that leads nowhere")
    if (url.scheme, target.scheme) == ("https", "http"):
        raise Permanent(f"{answer.host} answered {answer.call} with a redirect to http, which is not safe")
    return target
