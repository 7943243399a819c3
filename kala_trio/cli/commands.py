"""All commands by their names; each is imported when it is wanted: the service needs no client."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from kala_trio import __version__


class Shelf(click.Group):
    """A group of commands that lie in modules of this package: ``module:attribute`` for each."""

    def __init__(self, *args: Any, places: Mapping[str, str], **more: Any) -> None:
        """Look for commands at these places."""
        super().__init__(*args, **more)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, as they stand on the shelf."""
        return [*self._places]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in self._places:
            return None
        module, _, attribute = self._places[cmd_name].partition(":")
        found = getattr(import_module(f"kala_trio.cli.{module}"), attribute)
        assert isinstance(found, click.Command)  # noqa: S101 - the shelf is ours
        return found


@click.group(
    cls=Shelf,
    places={
        "run": "service:run",
        "backup": "service:backup",
        "bench": "service:bench",
        "token": "tokens:token",
        "job": "jobs:job",
        "apply": "applying:apply",
        "export": "applying:export",
        "runs": "history:runs",
        "show": "history:show",
        "logs": "history:logs",
        "cancel": "history:cancel",
        "missed": "history:missed",
        "notices": "history:notices",
        "stats": "history:stats",
        "top": "top:top",
        "next": "preview:preview",
        "explain": "preview:explain",
        "import-crontab": "importing:import_crontab",
        "import-kala": "importing:import_kala",
        "exec": "execute:execute",
        "simulate": "simulate:simulate",
        "completion": "completion:completion",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="kala-trio %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Run commands at exactly the right instants: a job scheduler with a JSON API over HTTP.

    `run` is the service, and all commands from `job` to `stats` ask one that runs: at --api, or
    KALA_TRIO_API.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
