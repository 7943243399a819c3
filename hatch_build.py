"""Puts the manual pages into the wheel where there are any: in releases, not in a clone."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):
    """Called by Hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the pages to what is installed."""
        pages = Path(self.root, "man")
        if self.target_name == "wheel" and pages.is_dir():
            build_data["shared_data"][str(pages)] = "share/man/man1"
