"""Puts the man page and the completions into the wheel, if `make dist` has written them."""

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShareHook(BuildHookInterface):  # type: ignore[type-arg] # its parameter is the builder's own configuration
    """Adds `build/share` to the wheel as data of the installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Do it before the build."""
        share = os.path.join(self.root, "build", "share")
        if os.path.isdir(share):
            build_data["shared_data"][share] = "share"
