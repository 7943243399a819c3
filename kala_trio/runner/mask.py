"""Secrets are taken out of what a run writes, and of what is said of it (rule K5)."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from typing import Self
from urllib.parse import quote

from msgspec import Struct

from kala_trio.core.definition import Definition

MASK = b"***"
"""What stands in place of a secret."""

SHORTEST = 4
"""How many bytes a line of a secret has at least that is looked for: less is found everywhere."""

# To look for many takes long, and so does it to keep back the beginning of a long one.
_MOST_OF_ONE = 64
_PIECE = 4_096


class Mask(Struct, frozen=True):
    """The lines of all secrets, also as a URL has them; of long ones and of many, pieces."""

    patterns: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """Return that of the secrets whose texts a definition holds."""
        return cls.of_texts(secret.text for _, secret in definition.secrecy.secrets if secret)

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Self:
        """Return that of these texts."""
        lines = {line for text in texts for line in _lines(text)}
        written = {each.encode() for line in lines for each in (line, quote(line, safe=""))}
        return cls(tuple(sorted({piece for each in written for piece in _pieces(each)})))

    def sentence(self, said: str) -> str:
        """Return a sentence without secrets."""
        return self.whole(said.encode(errors="replace")).decode(errors="replace")

    def whole(self, data: bytes) -> bytes:
        """Return what is whole without secrets."""
        shown, place = [], 0
        for start, end in self.found(data):
            shown += [data[place:start], MASK]
            place = end
        return b"".join([*shown, data[place:]])

    def found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield from where to where secrets stand, from the left, the longest of several."""
        firsts = ((data.find(each), -len(each), each) for each in self.patterns)
        coming = [each for each in firsts if each[0] >= 0]
        heapify(coming)
        place = 0
        while coming:
            at, rank, pattern = coming[0]
            if at >= place:
                place = at - rank
                yield at, place
            elif (at := data.find(pattern, place)) >= 0:
                heapreplace(coming, (at, rank, pattern))
            else:
                heappop(coming)

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
        for start, end in self._mask.found(data):
            if begun <= start:  # it may be a part of a longer one
                break
            shown += [data[place:start], MASK]
            place = end
            if begun < place:
                begun = self._mask.begun(data, place)
        self._rest = data[begun:]
        return b"".join([*shown, data[place:begun]])

    def end(self) -> bytes:
        """Return what has waited, now that nothing comes any more."""
        rest, self._rest = self._rest, b""
        return self._mask.whole(rest)


def _lines(text: str) -> Iterable[str]:
    """Yield the lines of a secret, several as one where there are very many."""
    lines = text.splitlines()
    step = -(-len(lines) // _MOST_OF_ONE)
    for start in range(0, len(lines), max(step, 1)):
        yield "\n".join(lines[start : start + step]).strip()


def _pieces(line: bytes) -> Iterable[bytes]:
    """Yield a line, or all of a long one in pieces of about one length."""
    count = -(-len(line) // _PIECE)
    for number in range(count if len(line) >= SHORTEST else 0):
        yield line[number * len(line) // count : (number + 1) * len(line) // count]
