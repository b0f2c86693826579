"""Answers the routes of the control API with the results of the daemon.

:mod:`syncd.control.file_handlers` has the routes that carry files.
"""

import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from aiohttp import web

from syncd.control import event_schemas, openapi, routes, schemas, sse
from syncd.control.dispatch import SERVICE, json_handler, raw_handler
from syncd.control.job_targets import Target
from syncd.control.service import ControlService, InvalidRequestError, JobQuery, Limits, LogQuery
from syncd.core.states import State


@raw_handler(routes.HEALTH)
async def _health(request: web.Request) -> web.Response:
    reason = await request.app[SERVICE].health()
    if reason is None:
        return web.json_response({"ok": True})
    return web.json_response({"error": reason}, status=503)


@raw_handler(routes.METRICS)
async def _metrics(request: web.Request) -> web.Response:
    body, content_type = await request.app[SERVICE].metrics()
    return web.Response(body=body, headers={"Content-Type": content_type})


@raw_handler(routes.EVENTS)
async def _events(request: web.Request, only: Sequence[str] | None) -> web.StreamResponse:
    return await sse.send_events(request, request.app[SERVICE].events, only or event_schemas.EVENT_KINDS)


@json_handler(routes.OPENAPI)
async def _openapi(_service: ControlService) -> dict[str, Any]:
    return openapi.document()


@json_handler(routes.STATUS)
async def _status(service: ControlService) -> schemas.Status:
    return await service.status()


@json_handler(routes.FOLDERS)
async def _folders(service: ControlService) -> schemas.Folders:
    return {"folders": await service.folders()}


@json_handler(routes.REMOTES)
async def _remotes(service: ControlService) -> schemas.Remotes:
    return {"remotes": await service.remotes()}


@json_handler(routes.JOBS)
async def _jobs(service: ControlService, group: str, **query: Any) -> schemas.JobPage:
    return await service.jobs(JobQuery(**query, siblings=group == "file"))


@raw_handler(routes.JOB_SNAPSHOT)
async def _job_snapshot(request: web.Request, **query: Any) -> web.StreamResponse:
    """Send a :class:`~syncd.control.schemas.JobPage` in parts.

    So the complete list is never in memory.
    """
    async with aclosing(request.app[SERVICE].job_snapshot(JobQuery(**query))) as pages:
        page = await anext(pages)  # raises the errors of the request before any output
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"jobs": [')
        await response.write(_items(page))
        async for page in pages:
            await response.write(b", " + _items(page))
        await response.write(f'], "siblings": [], "next": {json.dumps(page["next"])}}}'.encode())
        return response


def _items(page: schemas.JobPage) -> bytes:
    return json.dumps(page["jobs"])[1:-1].encode()


@json_handler(routes.JOB)
async def _job(service: ControlService, target: Target) -> schemas.JobDetails:
    return {"jobs": await service.show(target)}


@json_handler(routes.LOG)
async def _log(service: ControlService, **query: Any) -> schemas.LogEvents:
    return {"events": await service.log(LogQuery(**query))}


@json_handler(routes.THROUGHPUT)
async def _throughput(service: ControlService) -> schemas.Throughput:
    return await service.throughput()


@json_handler(routes.SETTINGS)
async def _settings(service: ControlService) -> schemas.Settings:
    return await service.settings()


@json_handler(routes.LIMIT)
async def _limit(service: ControlService, **given: Any) -> schemas.Settings:
    limits = Limits(**given)
    if limits == Limits():
        raise InvalidRequestError("give bandwidth or concurrency, or both")
    await service.limit(limits)
    return await service.settings()


@json_handler(routes.START)
async def _start(service: ControlService) -> schemas.Empty:
    await service.start()
    return {}


@json_handler(routes.STOP)
async def _stop(service: ControlService, now: bool, until: datetime | None) -> schemas.Empty:
    await service.stop(now=now, until=until)
    return {}


@json_handler(routes.RESCAN)
async def _rescan(service: ControlService, path: str | None) -> schemas.Empty:
    await service.rescan(path)
    return {}


@json_handler(routes.PROBE)
async def _probe(service: ControlService, remote: object) -> schemas.Empty:
    if not isinstance(remote, str):
        raise InvalidRequestError("remote must be a text")
    await service.probe(remote)
    return {}


@json_handler(routes.RETRY)
async def _retry(service: ControlService, targets: Sequence[Target] | None, state: State | None) -> schemas.JobCount:
    return {"count": await service.retry(targets, state)}


@json_handler(routes.CANCEL)
async def _cancel(service: ControlService, targets: Sequence[Target] | None) -> schemas.JobCount:
    return {"count": await service.cancel(targets)}


@json_handler(routes.VERIFY)
async def _verify(service: ControlService, targets: Sequence[Target], repair: bool) -> schemas.VerifyResults:
    return await service.verify(targets, repair=repair)


@json_handler(routes.RELOAD)
async def _reload(service: ControlService) -> schemas.Messages:
    return {"messages": await service.reload()}


@json_handler(routes.DASHBOARD)
async def _dashboard(service: ControlService) -> schemas.LoginUrl:
    return {"url": await service.dashboard()}


@json_handler(routes.SHUTDOWN)
async def _shutdown(service: ControlService) -> schemas.Empty:
    await service.shutdown()
    return {}
