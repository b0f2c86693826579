"""Sets up a receiver with a token on a machine, and a configuration that uploads to it."""

import os

import yaml

from tests.support.config import multipart_remote

POOL = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
TOKEN = "a-token-that-root-alone-can-read"
RECEIVER = """\
[Service]
ExecStart={program} serve --dir /srv/received --port {port} --token-file /srv/receiver.token
[Install]
WantedBy=multi-user.target
"""
CREDENTIAL = """\
[Service]
LoadCredential=drive.token:/etc/syncd/drive.token
"""


def set_up(machine, program, ports, unit="syncd"):
    """Start a receiver, and give the unit its token."""
    machine.write("/srv/receiver.token", TOKEN, 0o600)
    machine.write("/etc/systemd/system/receiver.service", RECEIVER.format(program=program, port=ports[0]))
    machine.write("/etc/syncd/drive.token", TOKEN, 0o600)
    machine.write(f"/etc/systemd/system/{unit}.service.d/token.conf", CREDENTIAL)
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "enable", "--now", "receiver")


def install(machine, dist):
    """Install the Debian package in ``dist``; return dpkg's output."""
    (package,) = dist.glob("*.deb")
    machine.write("/root/syncd.deb", package.read_bytes())
    return machine.do("dpkg", "--install", "/root/syncd.deb")


def config(ports, **changes):
    """Return the text of a configuration."""
    drive = multipart_remote(f"http://127.0.0.1:{ports[0]}", pool_id=POOL)
    return yaml.safe_dump(
        {
            "folders": [{"path": "/var/spool/syncd", "remote": "drive"}],
            "remotes": {"drive": drive},
            "scheduler": {"retry": {"max": "2s"}},
            "control": {"group": "syncd", "dashboard": f"127.0.0.1:{ports[1]}"},
            **changes,
        }
    )


def drop(machine, *names, folder="/var/spool/syncd", size=300_000):
    """Write files of random bytes that everybody can read into a folder."""
    for name in names:
        machine.write(f"{folder}/{name}", os.urandom(size))
