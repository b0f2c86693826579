"""The one door at which the exceptions of aiohttp and of the operating system are translated."""

import asyncio
import os
import socket
import ssl

import aiohttp

from syncd.core.errors import Scope, Transient

FOREIGN = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError)
"""What a request may raise beside a cancellation; a time-out is an OSError."""

_NO_CONNECTION = ("can't connect to {host}: {reason}", Scope.REMOTE)
_NO_PROXY = ("can't connect to {host} by way of the proxy: {reason}", Scope.REMOTE)
_LOST = ("the connection to {host} was lost: {reason}", Scope.JOB)
_TLS = ("{host} can't be reached over TLS: {reason}", Scope.REMOTE)
_UNTRUSTED = (
    "the certificate of {host} is not trusted ({reason}); set ca_file if it is signed by a certificate of your own",
    Scope.REMOTE,
)
_STALL = ("{host} let nothing move for {timeout:g} s", Scope.JOB)
_NONSENSE = ("{host} answered with something that is not HTTP", Scope.JOB)
_INCOMPLETE = ("the answer of {host} was not whole", Scope.JOB)
_BAD_URL = ("the address of {host} can't be used; look at url and proxy", Scope.REMOTE)

TROUBLE: dict[type[BaseException], tuple[str, Scope]] = {
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
"""Foreign exception → what it says to a person, and how far it reaches. The nearest base class counts."""


def translate(error: BaseException, *, host: str, timeout: float) -> Transient:
    """Return the failure that a foreign exception stands for. Its own text, which may hold secrets, stays behind."""
    sentence, scope = next(TROUBLE[base] for base in type(error).__mro__ if base in TROUBLE)
    message = sentence.format(host=host, reason=_reason(error), timeout=timeout)
    return Transient(message, scope=scope, overload=isinstance(error, TimeoutError))


def _reason(error: BaseException) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"it answered {error.status}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "the handshake failed").lower().replace("_", " ")
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "the name is not known"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return "it broke off"
