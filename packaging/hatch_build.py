"""Adds to the wheel its version, and the man pages, the completions and the JSON Schema from `make dist`."""

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShareHook(BuildHookInterface):  # type: ignore[type-arg] # the parameter is the builder's configuration
    """Adds `build/share` to the wheel, so that pip installs it below `share`, and version and schema to the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files that exist; called before the build of the kind ``version``, such as `editable`."""
        if version == "standard":
            module = os.path.join(self.root, "build", "_build.py")
            os.makedirs(os.path.dirname(module), exist_ok=True)
            with open(module, "w", encoding="utf-8") as file:
                file.write(f'"""The version of this package."""\n\n__version__ = "{self.metadata.version}"\n')
            build_data["force_include"][module] = "syncd/_build.py"
        share = os.path.join(self.root, "build", "share")
        if os.path.isdir(share):
            build_data["shared_data"][share] = "share"
        schema = os.path.join(share, "syncd", "config.schema.json")
        if os.path.isfile(schema):
            build_data["force_include"][schema] = "syncd/config/schema.json"
