"""Map the exceptions of aiohttp and the operating system to failures of :mod:`syncd.core.errors`."""

import asyncio
import os
import socket
import ssl

import aiohttp

from syncd.core.errors import Scope, Transient
from syncd.remotes.response_failures import PROXY_LOGIN

TRANSPORT_ERRORS = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError)
"""All exceptions of a request except cancellation; TimeoutError is an OSError."""

_NO_CONNECTION = ("can't connect to {host}: {reason}", Scope.REMOTE)
_NO_PROXY = ("can't connect to {host} by way of the proxy: {reason}", Scope.REMOTE)
_LOST = ("the connection to {host} was lost: {reason}", Scope.JOB)
_TLS = ("{host} can't be reached over TLS: {reason}", Scope.REMOTE)
_UNTRUSTED = ("the certificate of {host} is not trusted ({reason})", Scope.REMOTE)
_STALL = ("{host} let nothing move for {timeout:g} s", Scope.JOB)
_NONSENSE = ("{host} answered with something that is not HTTP", Scope.JOB)
_INCOMPLETE = ("the answer of {host} was not whole", Scope.JOB)
_BAD_URL = ("the address of {host}, or the proxy's, can't be used", Scope.REMOTE)

_CERTIFICATES = {
    9: "is this machine's clock right?",  # not valid yet
    10: "the server needs a new one, or this machine's clock is wrong",
    62: "set url to a name that it is for",
    64: "set url to an address that it is for",
}
"""The fix for a certificate problem, by OpenSSL's error number."""
_OWN_CERTIFICATE = "set ca_file if it is signed by a certificate of your own"
_ASK_FOR_OURS = "set client_cert if it asks for a certificate of yours"
_OURS_REFUSED = ("it does not take the certificate of client_cert", "is it the right one, and still valid?")
_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": ("it speaks no TLS at this port", "is it http, or another port?"),
    "UNSUPPORTED_PROTOCOL": ("it speaks no TLS 1.2 or later", "its software has to be brought up to date"),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("it speaks no TLS 1.2 or later", "its software has to be brought up to date"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("it asks for a certificate of yours", "set client_cert"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": ("it refused the handshake", _ASK_FOR_OURS),
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS_REFUSED,
    "TLSV1_ALERT_UNKNOWN_CA": _OURS_REFUSED,
}
"""The reason and the fix for a failed handshake, by OpenSSL's name of the reason."""

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
    aiohttp.ServerTimeoutError: _STALL,
    aiohttp.SocketTimeoutError: _STALL,
    asyncio.TimeoutError: _STALL,
    aiohttp.ClientResponseError: _NONSENSE,
    aiohttp.http.HttpProcessingError: _NONSENSE,
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
"""Message template and scope for each exception class. The nearest base class counts."""


def map_transport_error(error: BaseException, *, host: str, timeout: float) -> Transient:
    """Return the failure for an exception of a request. Leave out the exception's text: it may contain secrets."""
    sentence, scope = next(FAILURES_BY_ERROR[base] for base in type(error).__mro__ if base in FAILURES_BY_ERROR)
    if _refused_handshake(error):
        sentence, scope = _TLS
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        host = getattr(error, "host", host)  # it names the proxy if the proxy is the cause
    reason, advice = _reason(error)
    problem = sentence.format(host=host, reason=reason, timeout=timeout)
    return Transient(problem, advice=advice, scope=scope, overload=isinstance(error, TimeoutError))


def refused_certificate(host: str) -> Transient:
    """Return the failure for a server that closes each connection without an answer."""
    reason, advice = _OURS_REFUSED
    problem = f"{host} ends every connection without an answer: maybe {reason}"
    return Transient(problem, advice=advice, scope=Scope.REMOTE)


def _refused_handshake(error: BaseException) -> ssl.SSLError | None:
    """Return the server's TLS alert if it came after the handshake (TLS 1.3): aiohttp reports a lost connection."""
    cause = error.__cause__
    return cause if isinstance(cause, ssl.SSLError) and cause.reason in _HANDSHAKES else None


def _reason(error: BaseException) -> tuple[str, str]:
    """Return the reason, and the fix if known."""
    cause = _refused_handshake(error) or getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"it answered {error.status}", PROXY_LOGIN if error.status == 407 else ""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message.rstrip("."), _CERTIFICATES.get(cause.verify_code, _OWN_CERTIFICATE)
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or "the handshake failed"
        return _HANDSHAKES.get(reason, (reason.lower().replace("_", " "), ""))
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "the name is not known", ""
    if isinstance(cause, OSError) and cause.errno:
        # errno has no Windows error numbers
        windows_message = cause.strerror if getattr(cause, "winerror", None) else None
        return (windows_message or os.strerror(cause.errno)).lower(), ""
    return "it broke off", ""
