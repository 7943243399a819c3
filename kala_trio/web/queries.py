"""What stands after the question mark: read by name, and refused with an example."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import msgspec

from kala_trio.core.errors import Refused
from kala_trio.store.finding import JobState, Order, Search

PAGE = 1000
"""The most jobs of a search, or entries of the history, in one answer."""

USUAL_PAGE = 100
"""How many there are in it if the request doesn't say."""

SEARCHES = ("name", "owner", "tag", "state", "next_before", "sort")
"""The parameters by which jobs are looked for."""

E = TypeVar("E", bound=StrEnum)
S = TypeVar("S", bound=msgspec.Struct)


class Query:
    """The parameters of a request; each is read once, and what is left over is unknown."""

    def __init__(self, given: Mapping[str, str], known: Sequence[str]) -> None:
        """Read ``given``; raises Refused where a name is not ``known``."""
        self._given = given
        for name, value in given.items():
            if name not in known:
                problem = "there is no such parameter here"
                raise Refused(name[:50], problem, found=value, example=", ".join(known))

    def text(self, name: str) -> str:
        """Return a text, empty if it is not given."""
        return self._given.get(name, "")

    def number(self, name: str, default: int, *, most: int) -> int:
        """Return a number from 1 to ``most``."""
        text = self._given.get(name, str(default))
        if not re.fullmatch("[0-9]{1,18}", text) or not 1 <= int(text) <= most:
            problem = f"must be a number from 1 to {most}"
            raise Refused(name, problem, found=text, example=f"{name}=100")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return whether it is ``true``."""
        text = self._given.get(name, "false")
        if text not in ("true", "false"):
            raise Refused(name, "must be true or false", found=text, example=f"{name}=true")
        return text == "true"

    def instant(self, name: str) -> datetime | None:
        """Return an instant by RFC 3339, in UTC unless it says otherwise; None if not given."""
        text = self._given.get(name, "")
        if not text:
            return None
        try:
            # A plus that was not escaped arrives as a blank.
            found = datetime.fromisoformat(text.replace(" ", "+"))
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            problem = "must be a date and time by RFC 3339"
            raise Refused(name, problem, found=text, example=f"{name}=2026-03-01T09:00Z") from None

    def choice(self, name: str, kind: type[E]) -> E | None:
        """Return one of some words; None if it is not given."""
        text = self._given.get(name, "")
        return _one_of(name, text, [*kind]) if text else None

    def choices(self, name: str, some: list[E]) -> tuple[E, ...]:
        """Return words with commas between them; none if it is not given."""
        text = self._given.get(name, "")
        return tuple(_one_of(name, each, some) for each in text.split(",")) if text else ()

    def cursor(self, kind: type[S]) -> S | None:
        """Return where a page begins, as an answer's ``next`` said it; None for the first one."""
        text = self._given.get("cursor", "")
        if not text:
            return None
        try:
            return msgspec.convert(msgspec.json.decode(bytes.fromhex(text)), kind)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            problem = "must be the next of an answer"
            raise Refused("cursor", problem, found=text, example="none, for the first") from None


def search_of(query: Query) -> Search:
    """Return which jobs a request looks for, and in what order."""
    sort = query.text("sort")
    orders = [*(each.value for each in Order), *(f"-{each.value}" for each in Order)]
    if sort and sort not in orders:
        problem = f"must be one of {', '.join(orders)}"
        raise Refused("sort", problem, found=sort, example="sort=-next_run_at")
    return Search(
        query.text("name"),
        query.text("owner"),
        query.text("tag"),
        query.choice("state", JobState),
        query.instant("next_before"),
        Order(sort.removeprefix("-") or Order.CREATED),
        sort.startswith("-"),
    )


def written(cursor: msgspec.Struct | None) -> str | None:
    """Write down where the next page begins; None stays None."""
    return None if cursor is None else msgspec.json.encode(cursor).hex()


def _one_of(name: str, text: str, some: list[E]) -> E:
    for each in some:
        if text == each:
            return each
    words = ", ".join(some)
    raise Refused(name, f"must be one of {words}", found=text, example=f"{name}={some[0]}")
