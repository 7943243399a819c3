"""kala-trio: a job scheduler with ISO 8601 recurrences, real processes and durable state."""

__version__ = "0.1.0"
