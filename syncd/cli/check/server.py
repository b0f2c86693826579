"""Checks a remote: connection, token, clock, chunk size and upload speed.

The timed chunks belong to no upload, so that the server rejects them and stores nothing.
"""

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from yarl import URL

from syncd import __version__, localtime
from syncd.cli import formatting
from syncd.cli.check.result import Finding, Level
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.core.errors import Failure, Permanent, Unauthorized
from syncd.platform.systemd.sandbox import Sandbox
from syncd.remotes.base import Remote
from syncd.remotes.factory import make_remote
from syncd.remotes.http import Http
from syncd.remotes.proxy import environment_proxy
from syncd.remotes.speedtest import ChunkAcceptedError, ChunkTooLargeError
from syncd.upload.throttle import BandwidthLimiter

Settings = ImageRemote | MultipartRemote

MAX_CLOCK_DIFFERENCE_SECONDS = 30.0
"""A larger difference gets a warning, because certificates, expiry dates and timetables depend on the clock."""
MIN_REQUEST_BYTES, MAX_REQUEST_BYTES = 1024, 4 * 1024 * 1024
"""Sizes of the smallest and the largest timed request."""
SIZE_FACTOR = 8
"""Ratio of the sizes of two successive timed requests."""
SUFFICIENT_SECONDS = 0.25
"""A request of this duration measures the speed well enough; no larger one is sent."""


async def check_server(
    name: str, settings: Settings, *, bandwidth: float | None, sandbox: Sandbox | None
) -> AsyncGenerator[Finding]:
    """Yield the findings about one remote.

    ``bandwidth`` is the current limit in bytes per second, None for no limit. If the server is unreachable or rejects
    the token, that is the only finding.
    """
    remote = _remote(name, settings)
    try:
        yield await check_connection(name, settings, remote, sandbox)
        if finding := await check_clock(name, settings, time.time):
            yield finding
        most = min(MAX_REQUEST_BYTES, settings.chunk_size)
        if isinstance(settings, ImageRemote) and (bandwidth is None or bandwidth >= most):
            most, finding = await check_chunk_size(name, remote, most)
            if finding:
                yield finding
        yield await check_speed(name, remote, most=most, bandwidth=bandwidth, timer=time.monotonic)
    except Failure as error:
        yield _failed(name, settings, error)
    finally:
        await remote.close()


async def probe(name: str, settings: Settings) -> tuple[Finding, Failure | None]:
    """Return the finding about the connection only, and the failure if there is one.

    Without a token, the failure is ``Unauthorized`` also if the server requires one only for an upload.
    """
    remote = _remote(name, settings)
    try:
        found = await check_connection(name, settings, remote, None)
        if settings.token is None:
            await _raise_only(remote.measure_upload(MIN_REQUEST_BYTES), Unauthorized)
    except Failure as error:
        return _failed(name, settings, error), error
    finally:
        await remote.close()
    return found, None


def _failed(name: str, settings: Settings, error: Failure) -> Finding:
    what = formatting.clean(error.problem)
    return Finding(level="error", where=_where(name, settings), what=what, advice=_advice(error, settings))


def _remote(name: str, settings: Settings) -> Remote:
    return make_remote(name, settings, throttle=_unlimited(), clock=time.time, user_agent=f"syncd/{__version__}")


def _unlimited() -> BandwidthLimiter:
    """Return a limiter without a limit.

    A limit would make a timed request smaller: it has at most the bytes that the limit allows in a second.
    """
    return BandwidthLimiter((), clock=time.monotonic, local_time=localtime.now)


def _where(name: str, settings: Settings) -> str:
    return f"remote {name} {settings.url}"


async def check_connection(name: str, settings: Settings, remote: Remote, sandbox: Sandbox | None) -> Finding:
    """Check that the server answers and accepts the token.

    Raises a :class:`Failure` if not.
    """
    started = time.monotonic()
    await remote.check()
    milliseconds = (time.monotonic() - started) * 1000
    proxy = _proxy(settings)
    through = f" through the proxy {proxy}" if proxy else ""
    token = "" if settings.token is None else await _token_note(name, settings, remote)
    what = f"answers in {milliseconds:.0f} ms{through}{token}"
    if proxy and settings.proxy is None and sandbox is not None and not sandbox.has_proxy:
        advice = (
            f"set proxy in the configuration, or run systemctl edit {sandbox.unit} and add: "
            "[Service] Environment=https_proxy=…"
        )
        what += ", which is set in your environment but not in the service's"
        return Finding(level="warn", where=_where(name, settings), what=what, advice=advice)
    return Finding(level="ok", where=_where(name, settings), what=what)


async def _token_note(name: str, settings: Settings, remote: Remote) -> str:
    """Return whether the server accepts the token, as the end of a sentence.

    ``remote.check()`` must have passed. A server that also accepts a request without a token has not tested the token.
    Raises ``Unauthorized`` if the server rejects the token.
    """
    anonymous = _remote(name, settings.model_copy(update={"token": None}))
    try:
        if await _fails(anonymous.check(), Unauthorized, Permanent):
            return " and accepts the token"
        if await _fails(anonymous.measure_upload(MIN_REQUEST_BYTES), Unauthorized):
            await _raise_only(remote.measure_upload(MIN_REQUEST_BYTES), Unauthorized)
            return " and accepts the token"
    finally:
        await anonymous.close()
    return "; it does not require a token, so yours could not be tested"


async def _fails(request: Awaitable[None], *kinds: type[Failure]) -> bool:
    try:
        await request
    except Failure as failure:
        return isinstance(failure, kinds)
    return False


async def _raise_only(request: Awaitable[None], kind: type[Failure]) -> None:
    try:
        await request
    except Failure as failure:
        if isinstance(failure, kind):
            raise


async def check_chunk_size(name: str, remote: Remote, size: int) -> tuple[int, Finding | None]:
    """Find the largest chunk size, at most ``size`` bytes, that the server accepts.

    Returns that size in bytes, and a finding if it is smaller than ``size``. The sizes tried are those that
    :func:`check_speed` uses.
    """
    if await _accepts(remote, size):
        return size, None
    smaller = MIN_REQUEST_BYTES
    while smaller * SIZE_FACTOR < size:
        smaller *= SIZE_FACTOR
    while smaller > MIN_REQUEST_BYTES and not await _accepts(remote, smaller):
        smaller //= SIZE_FACTOR
    what = f"the server rejects chunks of {formatting.size(size)}"
    less_than = "" if smaller > MIN_REQUEST_BYTES or await _accepts(remote, MIN_REQUEST_BYTES) else "less than "
    advice = f"set chunk_size to {less_than}{smaller // 1024}KiB"
    return min(smaller, size), Finding(level="warn", where=f"chunk_size of {name}", what=what, advice=advice)


async def _accepts(remote: Remote, size: int) -> bool:
    """Return whether the server accepts chunks of this size.

    Returns True after any other failure, which :func:`check_speed` reports.
    """
    try:
        await remote.measure_upload(size)
    except ChunkTooLargeError:
        return False
    except Failure:
        pass
    return True


async def check_clock(name: str, settings: Settings, clock: Callable[[], float]) -> Finding | None:
    """Compare this machine's clock with the ``Date`` header; None without the header."""
    http = Http(settings, throttle=_unlimited(), clock=clock, user_agent=f"syncd/{__version__}")
    try:
        date = (await http.get("")).headers.get("date", "")
        ahead = clock() - parsedate_to_datetime(date).timestamp()
    except (Failure, ValueError):
        return None
    finally:
        await http.close()
    if abs(ahead) <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return Finding(level="ok", where="clock", what=f"agrees with the clock of {name}")
    direction = "ahead of" if ahead > 0 else "behind"
    what = f"is {formatting.duration(abs(ahead))} {direction} the clock of {name}"
    return Finding(
        level="warn", where="clock", what=what, advice="if this machine's clock is wrong, run: timedatectl set-ntp true"
    )


async def check_speed(
    name: str, remote: Remote, *, most: int, bandwidth: float | None, timer: Callable[[], float]
) -> Finding:
    """Measure the upload speed with chunks that the server must reject.

    The chunks grow, up to ``most`` bytes, until one takes :data:`SUFFICIENT_SECONDS`.
    """
    where, timed = f"speed to {name}", ""
    if bandwidth is not None:
        most = min(most, int(bandwidth))
    size = min(MIN_REQUEST_BYTES, most)
    if not size:
        return Finding(level="ok", where=where, what="not measured: the bandwidth limit is 0 at this time of day")
    try:
        while True:
            began = timer()
            await remote.measure_upload(size)
            took = timer() - began
            timed = f"{formatting.size(size / max(took, 1e-6))}/s upload (single {formatting.size(size)} requests"
            if took >= SUFFICIENT_SECONDS or size >= most:
                return Finding(level="ok", where=where, what=f"{timed}, rejected by the server; nothing was stored)")
            size = min(size * SIZE_FACTOR, most)
    except ChunkAcceptedError as error:
        what = f"not measured: {formatting.clean(error.problem)} and may have stored it; no other chunk was sent"
        return Finding(level="ok", where=where, what=what)
    except Failure as error:
        return _interrupted_measurement(where, timed, error)


def _interrupted_measurement(where: str, timed: str, error: Failure) -> Finding:
    """Return the finding for a measurement that ended with an unexpected failure.

    ``timed`` is the result so far, empty if the first chunk failed.
    """
    what, advice = formatting.clean(error.problem), error.advice
    if timed:
        level: Level = "warn" if advice else "ok"
        return Finding(level=level, where=where, what=f"{timed}); a larger request failed: {what}", advice=advice)
    certain = isinstance(error, Unauthorized) or bool(advice)
    advice = advice or "check that url, type and prefix name an upload API"
    return Finding(level="error" if certain else "warn", where=where, what=f"not measured: {what}", advice=advice)


def _proxy(settings: Settings) -> str | None:
    """Return host and port of the proxy, without its password; None without a proxy."""
    proxy = settings.proxy.get_secret_value() if settings.proxy else environment_proxy(URL(settings.url))
    return URL(proxy).host_port_subcomponent if proxy else None


def _advice(error: Failure, settings: Settings) -> str:
    if isinstance(error, Unauthorized):
        replace = "set a valid token in token, token_file or token_env"
        return "the server requires a token: set token_file" if settings.token is None else replace
    if "clock" in error.advice:
        return f"{error.advice} (now {datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
    return error.advice or _likely_causes(error, settings)


def _likely_causes(error: Failure, settings: Settings) -> str:
    proxy = _proxy(settings)
    through = f" and the proxy {proxy}" if proxy else ""
    if "not understood" in error.problem:
        return f"check url, type, prefix{through}: there may be no upload API, or a login page in front of it"
    if re.search(r"answered 5\d\d ", error.problem):
        operator = "operator of the server" + (" or of the proxy" if proxy else "")
        return f"the server has a problem: try again later, or report it to the {operator}"
    if isinstance(error, Permanent):
        return f"check url{through}, and that the token may upload there"
    interrupted = "without an answer" in error.problem or "broke off" in error.problem
    if interrupted and urlsplit(settings.url).scheme == "http":
        return f"check the port{through}; the server may require https"
    if interrupted and settings.client_cert is None:
        return f"check the port{through}; the server may require a client certificate (client_cert)"
    if interrupted:
        return f"check the port{through}; the server may reject the certificate of client_cert"
    return f"check the address{through}, and that the server is up"
