"""Runs commands as a person would, in a separate home folder.

It prints the commands with their times and their output.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.wait import wait_until_sync


class Stage:
    """One machine: a home folder, and the commands that run there.

    ``python`` is the interpreter whose syncd is used, so that an older version can play a journey too. ``problems`` has
    what differed from what a person expects.
    """

    def __init__(self, home, *, python=sys.executable, out=sys.stdout):
        self.home = Path(home)
        self.problems = []
        self.steps = 0
        self._python = python
        self._out = out
        self._children = []
        self._began = time.monotonic()
        (self.home / "Pictures").mkdir(parents=True)

    @property
    def pictures(self):
        """The folder that the daemon watches."""
        return self.home / "Pictures"

    @property
    def log(self):
        """The file with the log of the daemon."""
        return self.home / "daemon.log"

    def show(self, text):
        """Print what a person sees, indented."""
        for line in text.splitlines():
            print(f"      {line}", file=self._out, flush=True)

    def other_machine(self, name):
        """Return a stage for another machine; its folder is next to this one."""
        return Stage(self.home.parent / name, python=self._python, out=self._out)

    def say(self, text):
        """Print the next step: what the person does or sees."""
        self.steps += 1
        print(f"\n[{time.monotonic() - self._began:6.1f} s] {self.steps}. {text}", file=self._out, flush=True)

    def syncd(self, *arguments, expect=0, lines=12):
        """Run a command, print it and the beginning of its output; return the output."""
        began = time.monotonic()
        ended = subprocess.run(
            self._command(arguments),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env=self._environment(),
            cwd=self.home,
        )
        took = time.monotonic() - began
        shown = ended.stdout.splitlines()
        command = " ".join(["syncd", *map(str, arguments)])
        print(f"    $ {command}   ({took:.2f} s, exit code {ended.returncode})", file=self._out)
        more = [f"... {len(shown) - lines} more lines"] if len(shown) > lines else []
        self.show("\n".join([*shown[:lines], *more]))
        self.check(ended.returncode == expect, f"`syncd {arguments[0]}` ended with {ended.returncode}, not {expect}")
        self.check("Traceback" not in ended.stdout, f"`syncd {arguments[0]}` printed a traceback")
        return ended.stdout

    def check(self, condition, problem):
        """Print and record ``problem`` unless the condition is true."""
        if not condition:
            self.problems.append(problem)
            print(f"    !!! {problem}", file=self._out, flush=True)

    def serve(self, *options):
        """Start a receiver on another machine: its folder is next to the home.

        Returns its child process and its address.
        """
        child = self._spawn(["serve", "--dir", self.home.parent / "server", "--reserve", "0", "--port", "0", *options])
        return child, child.stdout.readline().split()[0]

    def configure(self, url, **more):
        """Write the configuration with ``init``, and set the sections in ``more``."""
        self.syncd("init", "--folder", self.pictures, "--type", "multipart", "--url", url, lines=6)
        config = self.home / ".config" / "syncd" / "config.yaml"
        # Without a state_dir, root's daemon uses the folders of the system.
        settings = yaml.safe_load(config.read_text()) | {"state_dir": str(self.home / "state")} | more
        config.write_text(yaml.safe_dump(settings))

    def start_daemon(self):
        """Start ``syncd run``, and wait until it answers."""
        child = self._spawn(["run"])
        wait_until_sync(lambda: self.status() is not None, "the daemon answers")
        return child

    def stop(self, child):
        """End a process as a service manager does."""
        child.terminate()
        child.wait(60)
        child.stdout.close()
        self._children.remove(child)

    def status(self):
        """Return the status document, or None if the daemon does not answer."""
        return self.ask("ctl", "status", "--json")

    def ask(self, *arguments):
        """Return the JSON document that a command prints, or None if it fails.

        Prints nothing.
        """
        ended = subprocess.run(
            self._command(arguments),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._environment(),
            cwd=self.home,
        )
        return json.loads(ended.stdout) if ended.returncode == 0 else None

    def done(self):
        """Return the number of uploaded files."""
        return (self.status() or {"jobs": {}})["jobs"].get("done", 0)

    def wait(self, what, condition, timeout=600.0):
        """Wait until the condition is true; print how long it took."""
        began = time.monotonic()
        wait_until_sync(condition, what, timeout)
        print(f"    {what}: after {time.monotonic() - began:.1f} s", file=self._out, flush=True)

    @contextmanager
    def open(self):
        """End all processes after the context."""
        try:
            yield self
        finally:
            for child in list(self._children):
                self.stop(child)

    def _command(self, arguments):
        return [self._python, "-m", "syncd", *map(str, arguments)]

    def _environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCD_", "XDG_"))}
        return kept | {"HOME": str(self.home), "COLUMNS": "100"}

    def _spawn(self, arguments):
        log_file = self.log if arguments[0] == "run" else self.home / f"{arguments[0]}.log"
        with log_file.open("ab") as log:
            child = subprocess.Popen(
                self._command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment(),
                cwd=self.home,
            )
        self._children.append(child)
        return child
