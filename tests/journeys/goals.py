"""The four goals of users.

They are: pictures of a phone on a server, notifications of a person, a large first sync, and a new machine.
"""

import json
import os
import shutil

from tests.journeys.stage import Stage
from tests.support.data import random_bytes


def phone_pictures(stage: Stage, files: int) -> None:
    """Put the pictures of a phone onto my server."""
    stage.say("On the server: run a receiver that keeps the names.")
    _, url = stage.serve("--layout", "names")
    (stage.pictures / "clip.mp4").write_bytes(b"video")
    _set_up(stage, url)
    stage.say(f"The phone, which has sent a video before, drops {files} pictures.")
    _drop(stage, files)
    stage.wait(f"{files} pictures are uploaded", lambda: stage.done() == files)
    stage.syncd("ctl", "wait", "--timeout", "60s")
    stage.say("Is everything there?")
    shown = stage.syncd("ctl", "status")
    stage.check("1 left out" in shown or "1 file left out" in shown, "the status does not name the video")
    names = stage.home.parent / "server" / "names"
    stage.say("On the server: browse what has arrived.")
    arrived = sorted(path.name for path in names.rglob("*.jpg")) if names.is_dir() else []
    stage.show(f"{len(arrived)} names, such as {', '.join(arrived[:3])}")
    stage.check(len(arrived) == files, f"{len(arrived)} of {files} names can be browsed")


def told_when_needed(stage: Stage, files: int) -> None:
    """Be told by a home server when it needs me, and left alone otherwise."""
    told = stage.home / "told.txt"
    server, url = stage.serve()
    port = url.rpartition(":")[2].strip("/")
    notify = {"command": ["sh", "-c", f"cat >> {told}"], "unavailable_after": "1s", "min_interval": "1s"}
    _set_up(stage, url, notify=notify)
    _drop(stage, files)
    stage.wait(f"{files} pictures are uploaded", lambda: stage.done() == files)
    stage.say("All is well: a monitoring system asks.")
    stage.syncd("ctl", "status", "--check")
    stage.check(not told.exists(), "a message came although all is well")
    stage.say("The server fails, and a picture arrives.")
    stage.stop(server)
    _drop(stage, 1, prefix="late")
    stage.wait("a person is told", lambda: told.exists() and "attention" in told.read_text().lower(), 300)
    stage.show(told.read_text())
    stage.syncd("ctl", "status", lines=4)
    stage.syncd("ctl", "status", "--check", expect=2)
    stage.say("The server is back.")
    stage.serve("--port", port)
    stage.wait("a person is told that it is resolved", lambda: "resolved" in told.read_text().lower(), 300)
    stage.wait("the late picture is uploaded", lambda: stage.done() == files + 1)
    stage.syncd("ctl", "status", "--check")


def first_sync(stage: Stage, files: int) -> None:
    """Upload a large collection for the first time, and go on using the folder."""
    _drop(stage, files)
    _, url = stage.serve()
    stage.say(f"{files:,} pictures are there already.")
    _set_up(stage, url)
    stage.wait("a tenth is uploaded", lambda: stage.done() >= files // 10)
    stage.say("How far is it, and when will it end?")
    stage.syncd("ctl", "status")
    stage.say("A new picture arrives meanwhile.")
    new = stage.pictures / "new.jpg"
    before = stage.done()
    new.write_bytes(random_bytes(5000, seed=-1))
    stage.wait("it is uploaded", lambda: _state_of(stage, new) == "done")
    overtaken = stage.done() - before
    stage.show(f"{overtaken:,} other pictures were uploaded meanwhile")
    stage.check(overtaken < files - before, "the new picture had to wait for all others")
    stage.say("Wait for the end.")
    stage.syncd("ctl", "wait", "--timeout", "3600s")
    stage.syncd("ctl", "status")
    lines = [json.loads(line) for line in stage.log.read_text().splitlines() if line.startswith("{")]
    stage.show(f"{len(lines):,} log lines for {files + 1:,} pictures")
    stage.check(len(lines) < files + 1, "the log has a line or more for each picture")
    stage.syncd("ctl", "logs", "--level", "warning")


def new_machine(stage: Stage, files: int) -> None:
    """Move to a new machine, with and without a backup, and restore lost pictures."""
    _, url = stage.serve()
    _set_up(stage, url)
    _drop(stage, files)
    stage.wait(f"{files} pictures are uploaded", lambda: stage.done() == files)
    stage.say("The machine is lost; the pictures come from another disk. A new machine has no record of uploads.")
    new = stage.other_machine("new-home")
    with new.open():
        shutil.copytree(stage.pictures, new.pictures, dirs_exist_ok=True)
        new.configure(url)
        answer = json.loads(new.syncd("once", "--json", lines=2).splitlines()[-1])
        new.show(f"{answer['uploaded']} pictures were sent again, {answer['duplicate']} were there")
        new.check(answer["uploaded"] == 0, "pictures that the server has were sent again")
        stage.problems += new.problems
    stage.say("Some pictures were deleted by mistake: get them back.")
    for path in list(stage.pictures.iterdir())[:3]:
        path.unlink()
    stage.syncd("restore", "--to", stage.home / "back")
    back = [name for _, _, names in os.walk(stage.home / "back") for name in names]
    stage.check(len(back) >= 3, f"only {len(back)} pictures came back")


GOALS = {
    "phone": (phone_pictures, 15),
    "told": (told_when_needed, 5),
    "first": (first_sync, 40_000),
    "machine": (new_machine, 20),
}
"""The function of each goal, and the number of pictures in it."""


def _set_up(stage, url, **more):
    stage.say("Install syncd, and say what to upload where.")
    stage.configure(url, **more)
    stage.syncd("check")
    stage.say("Run it in the background, as the service does.")
    stage.start_daemon()


def _drop(stage, files, prefix="IMG"):
    for number in range(files):
        (stage.pictures / f"{prefix}_{number:05}.jpg").write_bytes(random_bytes(5000, seed=number + 1000 * len(prefix)))


def _state_of(stage, path):
    jobs = stage.ask("ctl", "show", path, "--json")
    return jobs["jobs"][0]["state"] if jobs and jobs["jobs"] else None
