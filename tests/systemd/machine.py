"""Boots a Debian in a folder with its systemd, and runs commands in it."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.wait import wait_until_sync

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT = (
    "mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && exec systemd-nspawn --quiet --boot --register=no"
    ' --keep-unit --link-journal=no --console=pipe --resolv-conf=off --timezone=off --directory="$0" --machine="$1"'
)
"""Runs nspawn with an empty /run/systemd, because the host may have no systemd."""


class Machine:
    """Boots a copy of the Debian in ``base``; the network is the host's."""

    def __init__(self, base: Path, root: Path) -> None:
        self.root = root
        self.log = root.with_suffix(".log")
        self._nspawn: subprocess.Popen[bytes] | None = None
        subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)

    def boot(self) -> None:
        """Start the machine, and wait until all its services run."""
        name = f"syncd-{os.getpid()}"
        with self.log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", BOOT, self.root, name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until_sync(
            lambda: self._leader() and self.run("test", "-S", "/run/systemd/private").returncode == 0, "it boots", 60
        )
        state = self.run("systemctl", "is-system-running", "--wait").stdout.strip()
        assert state == "running", self.run("systemctl", "--failed").stdout

    def power_off(self) -> None:
        """Shut the machine down."""
        assert self._nspawn is not None
        self.run("systemctl", "poweroff")
        self._nspawn.wait(90)
        self._nspawn = None

    def remove(self) -> None:
        """End the machine in any state, and remove its files."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            if leader := self._leader():
                os.kill(leader, signal.SIGKILL)
            self._nspawn.kill()
            self._nspawn.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _leader(self) -> int | None:
        """Return the pid of the machine's first process on the host."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self.log.read_text(errors="replace")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, *command: str, user: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root or as a user."""
        leader = self._leader()
        assert leader, "it is not there"
        enter = ["nsenter", f"--target={leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        home = f"/home/{user}" if user else "/root"
        around = [
            "env",
            "-i",
            "--chdir=/",
            f"PATH={PATH}",
            "LANG=C.UTF-8",
            f"HOME={home}",
            *(f"{k}={v}" for k, v in env.items()),
        ]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return subprocess.run(
            [*enter, *around, *become, *command], capture_output=True, text=True, check=False, timeout=180
        )

    def do(self, *command: str, user: str | None = None, **env: str) -> str:
        """Run a command that must succeed; return its output."""
        ended = self.run(*command, user=user, **env)
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Write a file in it, as root."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.do("systemctl", "show", unit, f"--property={name}", "--value").strip()

    def jobs(self, *options: str) -> dict[str, dict[str, object]]:
        """Return the output of `syncd ctl jobs`, by the path below the folder."""
        ended = self.run("syncd", "ctl", *options, "jobs", "--json", "--limit", "1000")
        if ended.returncode:
            return {}
        return {os.path.basename(job["path"]): job for job in json.loads(ended.stdout)["jobs"]}

    def until_done(self, *names: str, options: tuple[str, ...] = ()) -> None:
        """Wait until these files are on the server."""

        def done() -> bool:
            jobs = self.jobs(*options)
            return all(jobs.get(name, {}).get("state") == "done" for name in names)

        wait_until_sync(done, lambda: f"{names} are done: {self.jobs(*options)}\n{self.journal('-n', '30')}", 60)

    def journal(self, *options: str) -> str:
        """Return the daemon's lines in the journal."""
        return self.do("journalctl", "--no-pager", *(options or ("-u", "syncd")))

    def entries(self, event: str) -> list[dict[str, str]]:
        """Return the journal's entries of an event, with their fields."""
        lines = self.journal(f"SYNCD_EVENT={event}", "--output=json").splitlines()
        return [json.loads(line) for line in lines]
