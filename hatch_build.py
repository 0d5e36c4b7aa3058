"""Build the page into the wheel where node is at hand; a wheel without its page works too."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageBuildHook(BuildHookInterface[Any]):
    """Runs tools/build_page.py before a wheel is made, never before an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page if it is stale; a failure is one line of the build's output.

        Args:
            version: `standard` or `editable`.
            build_data: Left alone; the built files are artifacts of the wheel.
        """
        script = Path(self.root) / "tools" / "build_page.py"
        if version == "editable" or not script.is_file():
            return
        subprocess.run(  # noqa: S603 -- our own script
            [sys.executable, str(script), "--if-stale", "--no-install"], check=False
        )
