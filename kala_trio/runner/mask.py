"""Secrets are taken out of what a run writes, and of what is said of it (rule K5)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Self
from urllib.parse import quote

from msgspec import Struct

from kala_trio.core.definition import Definition

MASK = b"***"
"""What stands in place of a secret."""

SHORTEST = 4
"""How many bytes a line of a secret has at least that is looked for: less is found everywhere."""

# Longer lines are looked for in pieces, so that no more than one of them need be kept back.
_PIECE = 256


class Mask(Struct, frozen=True):
    """The lines of all secrets, also as a URL has them, the longest first."""

    patterns: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """Return that of the secrets whose texts a definition holds."""
        return cls.of_texts(secret.text for _, secret in definition.secrecy.secrets if secret)

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Self:
        """Return that of these texts."""
        lines = {line.strip() for text in texts for line in text.splitlines()}
        written = {each.encode() for line in lines for each in (line, quote(line, safe=""))}
        pieces = {piece for each in written for piece in _pieces(each)}
        return cls(tuple(sorted(pieces, key=lambda each: (-len(each), each))))

    def sentence(self, said: str) -> str:
        """Return a sentence without secrets."""
        return self.whole(said.encode(errors="replace")).decode() if self.patterns else said

    def whole(self, data: bytes) -> bytes:
        """Return what is whole without secrets."""
        return _matching(self.patterns).sub(MASK, data) if self.patterns else data

    def begun(self, data: bytes, start: int) -> int:
        """Return where at the end of ``data[start:]`` a longer secret may have begun, or its end.

        What begins there is shorter than the longest pattern.
        """
        first = len(data)
        for pattern in self.patterns:
            at = data.find(pattern[:1], max(start, len(data) - len(pattern) + 1), first)
            while at >= 0 and not pattern.startswith(data[at:]):
                at = data.find(pattern[:1], at + 1, first)
            first = first if at < 0 else at
        return first


NOTHING = Mask()
"""That of a job without secrets."""


class Masking:
    """Takes secrets out of what comes in pieces; what may be the beginning of one waits."""

    def __init__(self, mask: Mask) -> None:
        """Look for what ``mask`` has."""
        self._mask = mask
        self._rest = b""

    def next(self, data: bytes) -> bytes:
        """Return what can be shown by now that ``data`` has come."""
        if not self._mask.patterns:
            return data
        data, shown, place = self._rest + data, [], 0
        begun = self._mask.begun(data, place)
        for match in _matching(self._mask.patterns).finditer(data):
            if begun <= match.start():  # it may be a part of a longer one
                break
            shown += [data[place : match.start()], MASK]
            place = match.end()
            if begun < place:
                begun = self._mask.begun(data, place)
        self._rest = data[begun:]
        return b"".join([*shown, data[place:begun]])

    def end(self) -> bytes:
        """Return what has waited, now that nothing comes any more."""
        rest, self._rest = self._rest, b""
        return self._mask.whole(rest)


@lru_cache(64)
def _matching(patterns: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(map(re.escape, patterns)))


def _pieces(line: bytes) -> Iterable[bytes]:
    """Yield a line, or all of a long one in pieces of about one length."""
    count = -(-len(line) // _PIECE)
    for number in range(count if len(line) >= SHORTEST else 0):
        yield line[number * len(line) // count : (number + 1) * len(line) // count]
