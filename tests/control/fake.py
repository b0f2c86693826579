"""A fake of the daemon that records the calls of the control API."""

from syncd.control.events import Hub
from syncd.control.service import InvalidConfigError, NotFoundError


def job(number=17, path="/srv/inbox/a b.jpg", **other):
    return {
        "id": number,
        "path": path,
        "uri": f"file://{path}",
        "folder": "/srv/inbox",
        "name": "a b.jpg",
        "present": True,
        "remote": "drive",
        "state": "failed",
        "outcome": None,
        "detail": "too large for the server (413)",
        "size": 1234567,
        "attempts": 3,
        "due_in_seconds": None,
        "updated_at": "2026-01-02T03:04:05+00:00",
        "key": None,
        "ref": None,
        **other,
    }


STATUS = {
    "version": "1.0.0",
    "state": "running",
    "pid": 4711,
    "stopped_until": None,
    "store_blocked": None,
    "uptime_seconds": 12.5,
    "folders": [
        {
            "path": "/srv/inbox",
            "uri": "file:///srv/inbox",
            "remotes": ["drive"],
            "state": "watching",
            "watch": "native",
            "files": 120,
            "left_out_files": 0,
            "left_out_videos": 0,
            "detail": None,
        }
    ],
    "remotes": [
        {
            "name": "drive",
            "type": "multipart",
            "url": "http://127.0.0.1:4444",
            "state": "online",
            "detail": None,
            "retry_in_seconds": None,
            "since": "2026-01-02T03:04:05.678+00:00",
            "last_ok_at": "2026-01-02T03:05:06.789+00:00",
            "credentials_problem": None,
        }
    ],
    "jobs": {"queued": 3, "uploading": 2, "waiting": 0, "done": 115, "failed": 0, "skipped": 0},
    "unreadable_files": 0,
    "bytes": {"pending": 1048576, "sent": 73400320, "per_second": 524288.0},
    "eta_seconds": 2.0,
    "sync": {"done": 12340, "total": 12345, "settling": 0, "scanning": False, "settled": False},
    "dashboard": "http://127.0.0.1:8765",
}


class FakeDaemon:
    def __init__(self):
        self.asked = []
        self.problems = None
        self.status_document = STATUS
        self.listed = [job()]
        self.hub = Hub()
        self.trouble = None
        self.dashboard_trouble = None
        self.files = None
        self.logged = [{"timestamp": "2026-01-02T03:04:05.000Z", "level": "info", "event": "daemon.started", "pid": 1}]

    @property
    def events(self):
        return self.hub

    async def health(self):
        return self.trouble

    async def metrics(self):
        return b"syncd_uploading 1.0\n", "text/plain; version=0.0.4"

    async def folders(self):
        return self.status_document["folders"]

    async def remotes(self):
        return self.status_document["remotes"]

    async def log(self, query):
        self.asked.append(("log", query))
        return self.logged

    async def throughput(self):
        return {"step_seconds": 5, "bytes": [0, 3, 0]}

    async def settings(self):
        return {
            "file": "/etc/syncd/config.yaml",
            "settings": {"remotes": {"drive": {"token": "••••"}}},
            "live": {"bandwidth": "2MiB/s", "concurrency": "auto", "changed": ["bandwidth"]},
        }

    async def limit(self, limits):
        self.asked.append(("limit", limits))

    async def status(self):
        self.asked.append("status")
        return self.status_document

    async def start(self):
        self.asked.append("start")

    async def stop(self, *, now, until=None):
        self.asked.append(("stop", now) if until is None else ("stop", now, until))

    async def rescan(self, path):
        self.asked.append(("rescan", path))

    async def probe(self, remote):
        self.asked.append(("probe", remote))

    async def jobs(self, query):
        self.asked.append(("jobs", query))
        return {"jobs": self.listed, "siblings": [], "next": "c2"}

    async def show(self, target):
        self.asked.append(("show", target))
        if target == 404:
            raise NotFoundError("there is no job 404")
        if target == 500:
            raise RuntimeError("the secret of the house")
        history = [{"at": "2026-01-02T03:04:05+00:00", "state": "queued", "cause": "found", "detail": None}]
        return [{**one, "history": history} for one in self.listed]

    async def job_snapshot(self, query):
        self.asked.append(("job_snapshot", query))
        for cursor in ("c0", "c1", "c2"):
            yield {"jobs": self.listed, "siblings": [], "next": cursor}

    async def retry(self, targets, state=None):
        self.asked.append(("retry", targets) if state is None else ("retry", targets, state))
        return 2 if targets is None else len(targets)

    async def cancel(self, targets):
        self.asked.append(("cancel", targets))
        return 5 if targets is None else len(targets)

    async def verify(self, targets, *, repair):
        self.asked.append(("verify", targets, repair))
        found = {"id": 17, "path": "/srv/inbox/a b.jpg", "remote": "drive", "verdict": "missing", "detail": "gone"}
        return {"results": [found], "queued": int(repair)}

    async def reload(self):
        self.asked.append("reload")
        if self.problems:
            raise InvalidConfigError(self.problems)
        return ["remotes.drive.url changed"]

    async def dashboard(self):
        if self.dashboard_trouble:
            raise NotFoundError(self.dashboard_trouble)
        return "http://127.0.0.1:8765/login?ticket=t1cket"

    async def shutdown(self):
        self.asked.append("shutdown")
