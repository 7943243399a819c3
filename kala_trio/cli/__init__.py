"""The command line."""

from kala_trio.cli.commands import main

__all__ = ["main"]
