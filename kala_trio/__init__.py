"""kala-trio: a job scheduler with ISO 8601 recurrences, real processes and durable state."""

from importlib.metadata import version

__version__ = version("kala-trio")
