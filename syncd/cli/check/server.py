"""What ``syncd check`` finds of a server: the way there, the token, its clock beside ours, how fast it takes data."""

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from yarl import URL

from syncd import __version__
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

Settings = ImageRemote | MultipartRemote

CLOCK_DIFFERENCE = 30.0
"""Seconds between two clocks that are worth a warning: certificates, expiry dates and timetables go by them."""
LEAST, MOST = 1024, 4 * 1024 * 1024
"""Bytes of the smallest and of the largest request that is timed."""
STEP = 8
"""How many times as large each of them is as the one before."""
LONG = 0.25
"""Seconds that a request takes to tell enough: none larger follows."""


class _Unthrottled:
    """A check sends little, and no more at once than the bandwidth limit lets through in a second."""

    async def acquire(self, size: int) -> None:
        pass


async def check_server(
    name: str, settings: Settings, *, bandwidth: float | None, sandbox: Sandbox | None
) -> AsyncGenerator[Finding]:
    """Look at one server; there is no more to see of one that can't be reached or does not take the token.

    ``bandwidth`` is the limit that holds now in bytes a second, None for none.
    """
    remote = _remote(name, settings)
    try:
        yield await check_reach(name, settings, remote, sandbox)
        if finding := await check_clock(name, settings, time.time):
            yield finding
        most = min(MOST, settings.chunk_size)
        if isinstance(settings, ImageRemote) and (bandwidth is None or bandwidth >= most):
            most, finding = await check_chunk_size(name, remote, most)
            if finding:
                yield finding
        yield await check_speed(name, remote, most=most, bandwidth=bandwidth, timer=time.monotonic)
    except Failure as error:
        what = formatting.clean(error.problem)
        yield Finding(level="error", where=_where(name, settings), what=what, advice=_what_to_do(error, settings))
    finally:
        await remote.close()


def _remote(name: str, settings: Settings) -> Remote:
    return make_remote(name, settings, throttle=_Unthrottled(), clock=time.time, user_agent=f"syncd/{__version__}")


def _where(name: str, settings: Settings) -> str:
    return f"server {name} {settings.url}"


async def check_reach(name: str, settings: Settings, remote: Remote, sandbox: Sandbox | None) -> Finding:
    """Ask a server whether it is there and takes the token. Raises a Failure if not."""
    started = time.monotonic()
    await remote.check()
    milliseconds = (time.monotonic() - started) * 1000
    proxy = _proxy(settings)
    way = f" through the proxy {proxy}" if proxy else ""
    token = "" if settings.token is None else await _token_note(name, settings, remote)
    what = f"answers in {milliseconds:.0f} ms{way}{token}"
    if proxy and settings.proxy is None and sandbox is not None and not sandbox.has_proxy:
        advice = (
            f"set proxy in the configuration, or systemctl edit {sandbox.unit}: [Service] Environment=https_proxy=…"
        )
        what += ", which your environment names and the service's does not"
        return Finding(level="warn", where=_where(name, settings), what=what, advice=advice)
    return Finding(level="ok", where=_where(name, settings), what=what)


async def _token_note(name: str, settings: Settings, remote: Remote) -> str:
    """Say whether the server takes the token, after ``remote.check()`` has passed. Raises ``Unauthorized`` if not.

    Only a request that is refused without a token shows that it takes the one that it is given.
    """
    bare = _remote(name, settings.model_copy(update={"token": None}))
    try:
        if await _fails(bare.check(), Unauthorized, Permanent):
            return " and takes the token"
        if await _fails(bare.measure_upload(LEAST), Unauthorized):
            await _raise_only(remote.measure_upload(LEAST), Unauthorized)
            return " and takes the token"
    finally:
        await bare.close()
    return "; it asked for no token, so whether it takes yours is not known"


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
    """Send a chunk of ``size`` bytes in vain; return the largest size tried that passes, and what is wrong, if it is.

    The sizes tried are those that :func:`check_speed` times.
    """
    if await _takes(remote, size):
        return size, None
    smaller = LEAST
    while smaller * STEP < size:
        smaller *= STEP
    while smaller > LEAST and not await _takes(remote, smaller):
        smaller //= STEP
    what = f"the server rejects chunks of {formatting.size(size)}"
    least = "" if smaller > LEAST or await _takes(remote, LEAST) else "less than "
    advice = f"set chunk_size to {least}{smaller // 1024}KiB"
    return min(smaller, size), Finding(level="warn", where=f"chunk_size of {name}", what=what, advice=advice)


async def _takes(remote: Remote, size: int) -> bool:
    """Say whether the server takes a chunk of that size in; for any other failure it does, and the speed tells."""
    try:
        await remote.measure_upload(size)
    except ChunkTooLargeError:
        return False
    except Failure:
        pass
    return True


async def check_clock(name: str, settings: Settings, clock: Callable[[], float]) -> Finding | None:
    """Compare this machine's clock with a server's, to the second that it tells; None where it does not."""
    http = Http(settings, throttle=_Unthrottled(), clock=clock, user_agent=f"syncd/{__version__}")
    try:
        told = (await http.get("")).headers.get("date", "")
        ahead = clock() - parsedate_to_datetime(told).timestamp()
    except (Failure, ValueError):
        return None
    finally:
        await http.close()
    if abs(ahead) <= CLOCK_DIFFERENCE:
        return Finding(level="ok", where="clock", what=f"agrees with that of {name}")
    way = "ahead of" if ahead > 0 else "behind"
    what = f"is {formatting.duration(abs(ahead))} {way} that of {name}"
    return Finding(level="warn", where="clock", what=what, advice="timedatectl set-ntp true, if it is this one's fault")


async def check_speed(
    name: str, remote: Remote, *, most: int, bandwidth: float | None, timer: Callable[[], float]
) -> Finding:
    """Time how fast a server takes data in, by chunks that it has to refuse: nothing is left of them there.

    They become larger until one takes long enough to tell; none has more than ``most`` bytes.
    """
    where, timed = f"speed to {name}", ""
    if bandwidth is not None:
        most = min(most, int(bandwidth))
    size = min(LEAST, most)
    if not size:
        return Finding(level="ok", where=where, what="is not measured: bandwidth is off at this time of day")
    try:
        while True:
            began = timer()
            await remote.measure_upload(size)
            took = timer() - began
            timed = (
                f"{formatting.size(size / max(took, 1e-6))}/s up, in requests of {formatting.size(size)}, one at a time"
            )
            if took >= LONG or size >= most:
                return Finding(level="ok", where=where, what=f"{timed}; it refused them, so nothing is left there")
            size = min(size * STEP, most)
    except ChunkAcceptedError as error:
        what = f"is not measured: {formatting.clean(error.problem)}, and may keep it, so no other is sent"
        return Finding(level="ok", where=where, what=what)
    except Failure as error:
        return _untold(where, timed, error)


def _untold(where: str, timed: str, error: Failure) -> Finding:
    """Say what was found of the speed until the server did something else than to take a chunk in and refuse it."""
    what, advice = formatting.clean(error.problem), error.advice
    if timed:
        level: Level = "warn" if advice else "ok"
        return Finding(level=level, where=where, what=f"{timed}; a larger one: {what}", advice=advice)
    sure = isinstance(error, Unauthorized) or bool(advice)
    advice = advice or "is there an upload API at that address? Look at url, type and prefix"
    return Finding(level="error" if sure else "warn", where=where, what=f"is not known: {what}", advice=advice)


def _proxy(settings: Settings) -> str | None:
    """Return host and port of the proxy on the way, if there is one; never its password."""
    proxy = settings.proxy.get_secret_value() if settings.proxy else environment_proxy(URL(settings.url))
    return URL(proxy).host_port_subcomponent if proxy else None


def _what_to_do(error: Failure, settings: Settings) -> str:
    if isinstance(error, Unauthorized):
        given = "put a valid token where token, token_file or token_env says"
        return "it asks for a token: set token_file" if settings.token is None else given
    if "clock" in error.advice:
        return f"{error.advice} (it says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
    return error.advice or _what_to_look_at(error, settings)


def _what_to_look_at(error: Failure, settings: Settings) -> str:
    proxy = _proxy(settings)
    through = f", and the proxy {proxy} the right way to it" if proxy else ""
    if "not understood" in error.problem:
        return f"is there an upload API{through}? Look at url, type and prefix; a log-in page may be in between"
    if re.search(r"answered 5\d\d ", error.problem):
        return f"it is there, and can't work now: try again later, or ask who runs it{through and ', or the proxy'}"
    if isinstance(error, Permanent):
        return f"is the address right{through}? May this token upload there?"
    broken_off = "without an answer" in error.problem or "broke off" in error.problem
    if broken_off and urlsplit(settings.url).scheme == "http":
        return f"is the port right{through}? Or is it https there?"
    if broken_off and settings.client_cert is None:
        return f"is the port right{through}? Or does it ask for a certificate of yours (client_cert)?"
    if broken_off:
        return f"is the port right{through}? Or does it not take the certificate of client_cert?"
    return f"is the address right{through}, and the server up?"
