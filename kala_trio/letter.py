"""A letter, as a value."""

from datetime import datetime

from msgspec import Struct


def on_one_line(text: str) -> str:
    """Return a text whose line breaks, and whatever else can't be seen, are blanks."""
    return "".join(each if each.isprintable() else " " for each in text)


class Letter(Struct, frozen=True):
    """What is sent: ``id`` is the same however often it is tried."""

    id: str
    receivers: tuple[str, ...]
    subject: str
    text: str
    at: datetime
