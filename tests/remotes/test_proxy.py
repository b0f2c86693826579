"""Test proxies, and host names without an address."""

import socket

import pytest
from yarl import URL

from syncd.core.errors import Scope, Transient
from syncd.remotes.bodies import BytesBody
from syncd.remotes.proxy import environment_proxy
from tests.remotes.helpers import read_request, reply

BODY = BytesBody(content_type="text/plain", data=b"x")


async def test_connect_unknown_host_name_is_remote_failure(make_http, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Transient, match=r"can't connect to host\.test: Name or service not known") as caught:
        await make_http("http://host.test").post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE
    with pytest.raises(Transient, match=r"can't connect to proxy\.test: Name or service not known"):
        await make_http("http://host.test", proxy="http://proxy.test:3128").post("/image", BODY)


async def test_proxy_receives_password(make_http, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_request(reader))
        writer.write(reply("200 OK"))

    proxy = await start_server(handle)
    address = proxy.url.replace("//", "//me:pa55word@")
    await make_http("http://host.test:99", proxy=address).post("/image", BODY)
    assert proxy.seen[0].startswith(b"POST http://host.test:99/image HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGE1NXdvcmQ=" in proxy.seen[0]


async def test_proxy_407_has_advice(make_http, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(reply("407 Who", b"not pa55word"))

    proxy = await start_server(handle)
    address = proxy.url.replace("//", "//me:pa55word@")
    http = make_http("http://host.test", proxy=address)
    failure = http.failure(await http.post("/image", BODY))
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.REMOTE
    assert "not ***" in str(failure)
    with pytest.raises(Transient, match="through the proxy: the proxy answered 407; set the right user") as caught:
        await make_http("https://host.test", proxy=address).post("/image", BODY)
    assert "pa55word" not in str(caught.value)


async def test_proxy_unreachable_is_named(make_http, unused_tcp_port):
    address = f"http://me:pa55word@127.0.0.1:{unused_tcp_port}"
    with pytest.raises(Transient, match=r"host\.test through the proxy: connection refused") as caught:
        await make_http("http://host.test", proxy=address).post("/image", BODY)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://host.test:4444/x", "http://proxy.test:3128"),
        ("https://host.test/x", None),
        ("http://inner.test/x", None),
        ("http://localhost:4444/", None),
        ("http://127.0.0.9:4444/", None),
        ("http://[::1]:4444/", None),
    ],
)
def test_environment_proxy_by_url(monkeypatch, url, proxy):
    for name in ("HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inner.test")
    assert environment_proxy(URL(url)) == proxy
