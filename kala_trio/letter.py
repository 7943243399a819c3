"""A letter, as a value."""

from datetime import datetime

from msgspec import Struct


class Letter(Struct, frozen=True):
    """What is sent: ``id`` is the same however often it is tried."""

    id: str
    receivers: tuple[str, ...]
    subject: str
    text: str
    at: datetime
