"""Adds the version and the files from `make dist` to the wheel.

The files are the man pages, the completions and the JSON Schema.
"""

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShareHook(BuildHookInterface):  # type: ignore[type-arg] # the parameter is the builder's configuration
    """Adds `build/share`, the version and the schema to the wheel.

    pip installs `build/share` below `share`, and the version and the schema in the package.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files that exist.

        Hatchling calls this method before the build. ``version`` is the kind of build, such as `editable`.
        """
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
