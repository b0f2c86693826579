"""Maps exceptions of aiohttp and the operating system to failures.

The failures are those of :mod:`syncd.core.errors`. :mod:`syncd.remotes.response_failures` does the same for responses.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

import aiohttp

from syncd.core.errors import Scope, Transient
from syncd.remotes.response_failures import PROXY_LOGIN

TRANSPORT_ERRORS = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError)
"""All exceptions of a request except cancellation; TimeoutError is an OSError."""

_NO_CONNECTION = ("can't connect to {host}: {reason}", Scope.REMOTE)
_NO_PROXY = ("can't connect to {host} through the proxy: {reason}", Scope.REMOTE)
_LOST = ("the connection to {host} was lost: {reason}", Scope.JOB)
_TLS = ("can't connect to {host} over TLS: {reason}", Scope.REMOTE)
_UNTRUSTED = ("the certificate of {host} is not trusted ({reason})", Scope.REMOTE)
_IDLE_TIMEOUT = ("no data was transferred to or from {host} for {timeout:g} s", Scope.JOB)
_NOT_HTTP = ("the response of {host} is not valid HTTP", Scope.JOB)
_INCOMPLETE = ("the response of {host} is incomplete", Scope.JOB)
_BAD_URL = ("the URL of {host} or of its proxy is not valid", Scope.REMOTE)

_CERTIFICATES = {
    9: "correct this machine's clock",  # not valid yet
    10: "renew the server's certificate, or correct this machine's clock",  # expired
    62: "set url to a host name that the certificate contains",
    64: "set url to an IP address that the certificate contains",
}
"""The fix for a problem with the server's certificate, by OpenSSL's error number."""
_SET_CA_FILE = "set ca_file if the certificate comes from a private certificate authority"
_SET_CLIENT_CERT = "set client_cert if the server requires a client certificate"
_TLS_TOO_OLD = ("the server supports no TLS 1.2 or later", "update the server's software")
_CLIENT_CERT_REJECTED = (
    "the server rejects the certificate of client_cert",
    "check that it is the right one, and that it has not expired",
)
_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": ("the server offers no TLS at this port", "set url to http or to another port"),
    "UNSUPPORTED_PROTOCOL": _TLS_TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TLS_TOO_OLD,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("the server requires a client certificate", "set client_cert"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": ("the server rejected the handshake", _SET_CLIENT_CERT),
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT_CERT_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT_CERT_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _CLIENT_CERT_REJECTED,
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT_CERT_REJECTED,
}
"""The reason for a failed handshake and its fix, by OpenSSL's name of the reason."""

FAILURES_BY_ERROR: dict[type[BaseException], tuple[str, Scope]] = {
    aiohttp.ClientConnectorError: _NO_CONNECTION,
    aiohttp.ClientConnectorDNSError: _NO_CONNECTION,
    aiohttp.ConnectionTimeoutError: ("{host} did not accept a connection in time", Scope.REMOTE),
    aiohttp.ClientProxyConnectionError: _NO_PROXY,
    aiohttp.ClientHttpProxyError: _NO_PROXY,
    aiohttp.ClientSSLError: _TLS,
    aiohttp.ClientConnectorSSLError: _TLS,
    aiohttp.ClientConnectorCertificateError: _UNTRUSTED,
    aiohttp.ServerFingerprintMismatch: _UNTRUSTED,
    aiohttp.ServerDisconnectedError: ("{host} closed the connection without an answer", Scope.JOB),
    aiohttp.ServerTimeoutError: _IDLE_TIMEOUT,
    aiohttp.SocketTimeoutError: _IDLE_TIMEOUT,
    asyncio.TimeoutError: _IDLE_TIMEOUT,
    aiohttp.ClientResponseError: _NOT_HTTP,
    aiohttp.http.HttpProcessingError: _NOT_HTTP,
    aiohttp.ClientPayloadError: _INCOMPLETE,
    aiohttp.InvalidURL: _BAD_URL,
    aiohttp.InvalidUrlClientError: _BAD_URL,
    aiohttp.NonHttpUrlClientError: _BAD_URL,
    aiohttp.ClientConnectionError: _LOST,
    aiohttp.ClientConnectionResetError: _LOST,
    aiohttp.ServerConnectionError: _LOST,
    aiohttp.ClientOSError: _LOST,
    aiohttp.ClientError: _LOST,
    OSError: _LOST,
}
"""Message template and scope, by exception class. The entry of the nearest base class applies."""


def map_transport_error(
    error: BaseException, *, host: str, timeout: float, redact: Callable[[str], str] = str
) -> Transient:
    """Return the failure for an exception of a request to ``host``.

    The message omits the exception's text, because it may contain secrets; ``redact`` removes them from host names,
    which a redirect may have set. ``timeout`` is in seconds.
    """
    template, scope = next(FAILURES_BY_ERROR[base] for base in type(error).__mro__ if base in FAILURES_BY_ERROR)
    if _refused_handshake(error):
        template, scope = _TLS
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        host = getattr(error, "host", host)  # the host that has no address; it may be the proxy
    reason, advice = _reason(error)
    problem = redact(template.format(host=host, reason=reason, timeout=timeout))
    return Transient(problem, advice=advice, scope=scope, overload=isinstance(error, TimeoutError))


def refused_certificate(host: str) -> Transient:
    """Return the failure for a server that closes each connection without an answer."""
    reason, advice = _CLIENT_CERT_REJECTED
    problem = f"{host} closes every connection without an answer: probably {reason}"
    return Transient(problem, advice=advice, scope=Scope.REMOTE)


def is_tls_error(error: BaseException) -> bool:
    """Return whether a request failed because of TLS.

    That is the handshake, or the certificate of either side.
    """
    kinds = aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError
    return isinstance(error, kinds) or _refused_handshake(error) is not None


def _refused_handshake(error: BaseException) -> ssl.SSLError | None:
    """Return the server's TLS alert if it came after the handshake, as in TLS 1.3.

    aiohttp reports such an alert as a lost connection.
    """
    cause = error.__cause__
    return cause if isinstance(cause, ssl.SSLError) and cause.reason in _HANDSHAKES else None


def _reason(error: BaseException) -> tuple[str, str]:
    """Return the reason, and the fix if known."""
    cause = _refused_handshake(error) or getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}", PROXY_LOGIN if error.status == 407 else ""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message.rstrip("."), _CERTIFICATES.get(cause.verify_code, _SET_CA_FILE)
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or "the handshake failed"
        return _HANDSHAKES.get(reason, (reason.lower().replace("_", " "), ""))
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "unknown host name", ""
    if isinstance(cause, OSError) and cause.errno:
        # os.strerror does not know the error numbers of Windows
        windows_message = cause.strerror if getattr(cause, "winerror", None) else None
        return (windows_message or os.strerror(cause.errno)).lower(), ""
    return "it broke off", ""
