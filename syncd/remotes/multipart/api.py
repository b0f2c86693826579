"""Sends the calls of the multipart API, and checks whether a server offers it.

:class:`syncd.remotes.multipart.client.MultipartRemote` decides which calls to send, and interprets the responses.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import quote

from syncd.core.errors import Failure, SessionLost
from syncd.remotes.bodies import FormFile, MultipartForm, json_body
from syncd.remotes.http import Http
from syncd.remotes.multipart.stored_files import StoredFiles
from syncd.remotes.presence import is_server_failure
from syncd.remotes.response_failures import not_an_upload_api
from syncd.remotes.responses import Response
from syncd.remotes.speedtest import incompressible_bytes, send_rejected_chunk

_UNKNOWN_TASK = "0" * 32
"""An id for which no task and no file is known."""

ReadBytes = Callable[[], AsyncIterator[bytes]]
"""Each call reads the same part of a file from its start."""


class MultipartApi:
    """The calls of one server, below the path ``prefix``. ``files`` requests stored files."""

    def __init__(self, http: Http, prefix: str, files: StoredFiles) -> None:
        self._http = http
        self._prefix = prefix
        self._files = files

    async def create(self, fields: Mapping[str, object]) -> Response:
        """Create a task for a file."""
        return await self._http.post(f"{self._prefix}/create", json_body(fields))

    async def chunk(self, task: str, index: int, size: int, read: ReadBytes) -> Response:
        """Send chunk ``index`` of a task."""
        return await self._http.post(f"{self._prefix}/chunk/{quote(task, safe='')}/{index}", _chunk_form(size, read))

    async def complete(self, task: str) -> Response:
        """Make the server assemble the file."""
        return await self._http.post(f"{self._prefix}/complete/{quote(task, safe='')}")

    async def direct(self, form: MultipartForm) -> Response:
        """Send a whole file in a single request."""
        return await self._http.post(f"{self._prefix}/direct", form)

    async def progress(self, task: str) -> Response:
        """Ask for the state of a task."""
        return await self._get(f"progress/{quote(task, safe='')}")

    async def resume(self, task: str) -> Response:
        """Ask which chunks of a task have arrived."""
        return await self._get(f"resume/{quote(task, safe='')}")

    async def check(self) -> None:
        """Return if the server offers this API and accepts the token.

        Requests the list of tasks, then a task and a file that cannot exist, until a response shows that the server has
        checked the token. A server that answers 200 to all of them is not an upload API.
        """
        tasks = await self._get_from_working_server("tasks")
        task = await self._get_from_working_server(f"resume/{_UNKNOWN_TASK}")
        if task.status == 403:
            raise self.failure(task)
        if task.ok or not tasks.ok:
            file_exists = await self._files.has(_UNKNOWN_TASK)
            if task.ok and file_exists:
                raise not_an_upload_api(task, kind="a multipart", asked="a task and a file")

    async def measure_upload(self, size: int) -> None:
        """Send a random chunk of ``size`` bytes for an unknown task."""

        async def read() -> AsyncIterator[bytes]:
            yield incompressible_bytes(size)

        await send_rejected_chunk(self._http, f"{self._prefix}/chunk/{_UNKNOWN_TASK}/0", _chunk_form(size, read))

    def failure(self, response: Response) -> Failure:
        """Return the failure for the status of a response."""
        return self._http.failure(response)

    def session_lost(self, response: Response) -> SessionLost:
        """Return the failure that makes the upload begin again."""
        return SessionLost(str(self.failure(response)))

    async def unexpected(self, response: Response) -> Failure:
        """Return the failure for a response that cannot be interpreted.

        After a 200, check whether the server offers this API at all.
        """
        if response.ok:
            try:
                await self.check()
            except Failure as failure:
                if is_server_failure(failure):
                    return failure
        return self.failure(response)

    async def _get(self, call: str) -> Response:
        return await self._http.get(f"{self._prefix}/{call}")

    async def _get_from_working_server(self, call: str) -> Response:
        """Send a GET. Raises only failures of the whole server."""
        response = await self._get(call)
        failure = self.failure(response)
        if is_server_failure(failure):
            raise failure
        return response


def _chunk_form(size: int, read: ReadBytes) -> MultipartForm:
    media_type = "application/octet-stream"
    return MultipartForm(file=FormFile(field="chunk", filename="chunk", media_type=media_type, size=size, read=read))
