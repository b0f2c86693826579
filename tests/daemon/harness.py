"""Runs a daemon and a receiver in the test process, on real folders and sockets."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp

from syncd.config.load import load
from syncd.control.service import JobQuery, NotFoundError
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.daemon import Daemon
from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.support.config import base_settings, image_remote, multipart_remote, write_settings
from tests.support.wait import wait_until


@asynccontextmanager
async def running_receiver(folder, **settings):
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    made = Settings(folder=str(folder), fsync=False, **settings)
    task = asyncio.create_task(serve(made, host="127.0.0.1", port=0, ready=url.set_result, stop=stop))
    try:
        yield await url
    finally:
        stop.set()
        await task


class DaemonHarness:
    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.path = folder / "config.yaml"
        self.daemon = None
        self._task = None
        self.settings = base_settings(
            url,
            folders=[{"path": "inbox", "remote": ["drive"], "settle": "50ms"}],
            remotes={"ascii": self.image(), "drive": self.multipart()},
            scheduler={"retry": {"initial": "20ms", "max": "50ms"}},
        )

    def multipart(self, **changes):
        return multipart_remote(self.url, **{"chunk_size": "64KiB", "direct": "never"} | changes)

    def image(self, **changes):
        return image_remote(self.url, **changes)

    def write(self):
        return load(write_settings(self.path, self.settings))

    async def start(self):
        self.daemon = Daemon(self.write())
        self._task = asyncio.create_task(self.daemon.run())
        await wait_until(lambda: self._task.done() or (self.folder / "state" / "control.sock").exists())
        if self._task.done():
            await self._task
        return self

    async def run_to_the_end(self):
        await Daemon(self.write()).run()

    async def stop(self):
        if self._task is None:
            return
        self.daemon.request_shutdown()
        task, self._task = self._task, None
        await task

    @property
    def service(self):
        return DaemonControlService(self.daemon)

    async def reload(self):
        self.write()
        return await self.service.reload()

    async def jobs(self, **query):
        return (await self.service.jobs(JobQuery(limit=1000, **query)))["jobs"]

    async def show(self, name):
        return await self.service.show(str(self.inbox / name))

    async def counts(self):
        return (await self.service.status())["jobs"]

    async def wait_for_counts(self, **wanted):
        seen = {}

        async def reached():
            seen.update(await self.counts())
            return all(seen[state] == number for state, number in wanted.items())

        try:
            await wait_until(reached)
        except AssertionError:
            raise AssertionError(f"wanted {wanted}, there are {seen}") from None

    async def wait_for_states(self, name, *states):
        async def shown():
            try:
                jobs = await self.show(name)
            except NotFoundError:
                return None
            return jobs if {job["state"] for job in jobs} <= set(states) else None

        return await wait_until(shown, f"{name} is {states}")

    async def received(self, path="/v1/receiver"):
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await (answer.json() if path == "/v1/receiver" else answer.read())

    async def counters(self):
        return (await self.received())[1]

    async def content(self, job):
        status, body = await self.received(f"/api/files/{job['ref']}")
        assert status == 200, job
        return body
