"""Creates the client for a remote's settings.

The function is not in the package's ``__init__``, because importing the package must not load aiohttp.
"""

from collections.abc import Callable

from syncd.config.remotes import ImageRemote as ImageSettings
from syncd.config.remotes import MultipartRemote as MultipartSettings
from syncd.remotes.base import Throttle
from syncd.remotes.image.client import ImageRemote
from syncd.remotes.multipart.client import MultipartRemote


def make_remote(
    name: str,
    settings: ImageSettings | MultipartSettings,
    *,
    throttle: Throttle,
    clock: Callable[[], float],
    user_agent: str,
) -> ImageRemote | MultipartRemote:
    """Return the client for the remote ``name`` with these settings.

    ``clock`` returns seconds since the epoch.
    """
    if isinstance(settings, ImageSettings):
        return ImageRemote(name, settings, throttle=throttle, clock=clock, user_agent=user_agent)
    return MultipartRemote(name, settings, throttle=throttle, clock=clock, user_agent=user_agent)
