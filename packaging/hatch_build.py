"""Adds the man pages, the shell completions and the JSON Schema from `make dist` to the wheel."""

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShareHook(BuildHookInterface):  # type: ignore[type-arg] # the parameter is the builder's configuration
    """Adds `build/share` to the wheel, so that pip installs it below `share`, and the schema to the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Add the folder if it exists; called before the build."""
        share = os.path.join(self.root, "build", "share")
        if os.path.isdir(share):
            build_data["shared_data"][share] = "share"
        schema = os.path.join(share, "syncd", "config.schema.json")
        if os.path.isfile(schema):
            build_data["force_include"][schema] = "syncd/config/schema.json"
