"""The Python client: asks a daemon over its HTTP API."""

from kala_trio.client.answers import PAUSES, URL
from kala_trio.client.asks import Job, Keys, When
from kala_trio.client.async_client import AsyncClient
from kala_trio.client.client import Client
from kala_trio.client.errors import (
    Conflict,
    NotDone,
    NotFound,
    Outdated,
    Refused,
    TryLater,
    Unanswered,
)

__all__ = [
    "PAUSES",
    "URL",
    "AsyncClient",
    "Client",
    "Conflict",
    "Job",
    "Keys",
    "NotDone",
    "NotFound",
    "Outdated",
    "Refused",
    "TryLater",
    "Unanswered",
    "When",
]
