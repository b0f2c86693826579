"""The wheel and the sdist satisfy the tools that check distributions.

The SBOM lists the locked libraries.
"""

import json
import os
import re

from tests.systemd import packages
from tests.systemd.conftest import fetched


def test_dist_check_accepts_wheel_and_sdist(tmp_path):
    folder = os.path.relpath(tmp_path, packages.ROOT)
    output = fetched(packages.call, "make", "dist-check", f"DIST={folder}")
    for line in "Valid file: pyproject.toml", "py3-none-any.whl: OK", "Final rating: 10/10":
        assert line in output
    (path,) = tmp_path.glob("syncd-*.cdx.json")
    document = json.loads(path.read_text())
    assert document["metadata"]["component"]["version"] == packages.version_of(tmp_path)
    listed = {re.sub("[-_.]+", "-", of["name"]).lower(): of["version"] for of in document["components"]}
    locked = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", (packages.ROOT / "requirements/run.txt").read_text()))
    assert listed == {name: version for name, version in locked.items() if name in listed}
    assert set(locked) - set(listed) <= {"pywin32", "uvloop"}  # for other platforms
    licensed = [of for of in document["components"] if of.get("licenses")]
    assert len(licensed) == len(listed)
