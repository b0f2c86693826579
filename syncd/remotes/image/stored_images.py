"""What a server of the image API has stored: the images themselves, downloaded and compared, and whether it says no."""

import asyncio

from syncd.config.remotes import ImageRemote as Settings
from syncd.core.errors import Failure, NotStored, Permanent, Scope, Transient
from syncd.core.model import Confirmation, Content, Presence, Proof, Stored
from syncd.remotes import presence
from syncd.remotes.base import Taker
from syncd.remotes.downloads import Comparison, Copy, Decoding
from syncd.remotes.http import Glance, Http
from syncd.remotes.responses import Answer, not_an_api

NOWHERE = "0" * 64
"""The hash of an image that there is not."""


class StoredImages:
    """The images on one server."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._verify = settings.verify
        self._probing = asyncio.Lock()
        self._one_probe = asyncio.Lock()
        self._says_absent: bool | None = None
        """Whether it says of an image that can't be there that it is not; None before it was asked."""

    async def confirms(self, answer: Answer, *, anew: bool = False) -> bool:
        """Say whether a success is one: 201 is, 200 only from a server that has other answers too.

        With ``anew`` a server that has not shown that yet gets another chance.
        """
        if answer.complaint() is not None:
            return False
        if answer.status == 201:
            return True
        async with self._probing:
            if self._says_absent is None or (anew and not self._says_absent):
                await self._is_honest()
            return self._says_absent is True

    async def compare(self, content: Content) -> Copy:
        """Compare the server's copy with the image; one that it does not have is a part."""
        comparison = _comparison(content)
        answer = await self._http.get(f"/image/{content.key}", accept="text/plain", sink=comparison)
        if answer.status != 200:
            failure = self._http.failure(answer)
            if answer.status == 404 or (answer.status == 400 and isinstance(failure, Permanent)):
                return Copy.PART
            raise failure
        copy = comparison.result()
        if copy is not Copy.WHOLE:
            await self._is_honest()  # what came may be anything, from somebody who says yes to everything
        return copy

    async def compare_before_end(self, content: Content) -> Copy:
        """Compare the server's copy while chunks may be missing: then a download that fails is no error."""
        if self._verify == "never":
            return Copy.PART
        try:
            return await self.compare(content)
        except (Transient, Permanent) as failure:
            if presence.concerns_server(failure):
                raise
            return Copy.PART

    async def fetch(self, ref: str, key: str, take: Taker) -> str:
        """Download the text, and decode it as it comes."""
        decoding = Decoding(form_of(ref), take)
        answer = await self._http.get(f"/image/{key}", accept="text/plain", sink=decoding)
        if answer.status == 404:
            raise NotStored(presence.GONE)
        if answer.status != 200:
            raise self._http.failure(answer)
        if answer.is_page and decoding.key() != key and not await self._is_honest():
            raise self._http.failure(answer)  # a log-in page is no copy that differs
        return decoding.key()

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask for the image; its length tells, or with ``thorough`` all its bytes."""
        if not ref:
            return presence.unknown(presence.NEVER_NAMED)
        glance, comparison = Glance(), _comparison(content)
        sink = comparison if thorough else glance
        request = self._http.get(f"/image/{content.key}", accept="text/plain", sink=sink)
        if refusal := await presence.ask(self._http, request):
            return refusal
        if thorough:
            found, differs = presence.compared(comparison.result()), comparison.result() is not Copy.ENDLESS
        else:
            found, differs = presence.measured(glance.length, content.size), glance.length is not None
        if found.presence is Presence.UNKNOWN and differs and await self._is_honest():
            return presence.absent(found.reason)
        return found

    async def _is_honest(self) -> bool:
        """Ask anew whether the server says of an image that can't be there that it is not: no page in between does.

        Failures of the server as a whole are raised, that it says yes to everything among them.
        """
        try:
            await self.check()
        except Failure as failure:
            if presence.concerns_server(failure):
                raise
        return self._says_absent is True

    async def check(self) -> None:
        """Ask for an image that can't be there: who has that, says yes to everything and is no image API."""
        async with self._one_probe:  # several uploads may ask at once, and whoever looks whether a server is back
            answer = await self._http.get(f"/image/{NOWHERE}", accept="text/plain")
        self._says_absent = answer.status == 404
        if 200 <= answer.status < 300:
            raise not_an_api(answer, kind="an image", asked="an image")
        failure = self._http.failure(answer)
        if answer.status in (401, 403) or (isinstance(failure, Transient) and failure.scope is Scope.REMOTE):
            raise failure


def _comparison(content: Content) -> Comparison:
    return Comparison(size=content.size, sha256=content.key, text=True)


def form_of(ref: str) -> str:
    """Return the form that a ``ref`` says the image has."""
    return ref.partition(":")[2]


def stored(content: Content, proof: Proof, *, already: bool = False) -> Stored:
    """Return the confirmation; its ``ref`` says how to download the image and how to decode it."""
    return Stored(ref=f"{content.key}:{content.encoding}", already=already, proof=proof)
