"""Test that every exception of aiohttp is mapped to a failure."""

import errno
import ssl
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions

from syncd.core.errors import Scope
from syncd.remotes.exceptions import FAILURES_BY_ERROR, TRANSPORT_ERRORS, map_transport_error

LIKE_THEIR_BASE = {
    "ContentTypeError",  # raised by response.json(), which is not used
    "WSServerHandshakeError",  # no web sockets here
    "TooManyRedirects",  # the client follows redirects itself; so do the next three
    "RedirectClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlRedirectClientError",
    "UnixClientConnectorError",  # no Unix sockets here
    "UploadAbortedError",  # raised only for tracked uploads
}
"""Classes that need no entry, because that of their base class applies."""


def all_subclasses(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for kind in base.__subclasses__():
        yield kind
        yield from all_subclasses(kind)


@pytest.mark.parametrize("kind", sorted(set(all_subclasses(aiohttp.ClientError)), key=lambda kind: kind.__name__))
def test_failures_by_error_has_every_aiohttp_class(kind):
    if kind.__module__ != client_exceptions.__name__:
        pytest.skip("not a class of the client")
    assert (kind in FAILURES_BY_ERROR) != (kind.__name__ in LIKE_THEIR_BASE)


@pytest.mark.parametrize(
    "kind", [http_exceptions.HttpProcessingError, *all_subclasses(http_exceptions.HttpProcessingError)]
)
def test_transport_errors_include_parser_errors(kind):
    assert issubclass(kind, TRANSPORT_ERRORS)


def make_error(kind: type[BaseException]) -> BaseException:
    error = kind.__new__(kind)
    error.__dict__.update(status=407, _os_error=OSError(errno.ECONNREFUSED, "secret"), _certificate_error=OSError())
    return error


@pytest.mark.parametrize("kind", sorted(set(all_subclasses(aiohttp.ClientError)) | {TimeoutError, OSError}, key=str))
def test_map_transport_error_names_host_but_no_secret(kind):
    failure = map_transport_error(make_error(kind), host="host:1", timeout=3)
    assert "host:1" in str(failure)
    assert "secret" not in str(failure)
    assert "{" not in str(failure)
    assert failure.overload == issubclass(kind, TimeoutError)


@pytest.mark.parametrize(
    ("number", "message", "advice"),
    [
        (18, "self-signed certificate", "ca_file"),
        (10, "certificate has expired", "renew the server's certificate"),
        (9, "certificate is not yet valid", "clock"),
    ],
)
def test_map_transport_error_untrusted_certificate_has_advice(number, message, advice):
    cause = ssl.SSLCertVerificationError(1, "x")
    cause.verify_code, cause.verify_message = number, message
    failure = map_transport_error(
        aiohttp.ClientConnectorCertificateError(None, cause),  # type: ignore[arg-type]
        host="host:1",
        timeout=3,
    )
    assert failure.scope is Scope.REMOTE
    assert message in str(failure)
    assert advice in str(failure)
