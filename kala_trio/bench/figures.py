"""What was measured: samples, figures over several rounds, and how they are shown."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from msgspec import Struct

_HEADER = ("", "min", "median", "max", "unit", "limit", "median", "ratio", "target")


class Target(Struct, frozen=True):
    """What a figure should be: ``sign`` is ≤ or ≥; ``of_limit``: the ratio is meant."""

    sign: str
    bound: float
    of_limit: bool = False

    def is_met(self, value: float) -> bool:
        """Tell whether ``value`` is as it should be."""
        return value <= self.bound if self.sign == "≤" else value >= self.bound

    def __str__(self) -> str:
        """Write it as a reader would."""
        return f"{self.sign} {self.bound:,g}{' ×' if self.of_limit else ''}"


class Limit(Struct, frozen=True):
    """What the machine allows, or what a user would take instead, measured in the same round."""

    name: str
    value: float


class Sample(Struct, frozen=True):
    """One round's measurement; ``load`` is its place on the curve of the name ``curve``."""

    name: str
    value: float
    unit: str
    limit: Limit | None = None
    target: Target | None = None
    curve: str = ""
    load: float = 0.0


class Figure(Struct, frozen=True):
    """The samples of all rounds that measured one thing, against one limit."""

    section: str
    samples: tuple[Sample, ...]

    @property
    def first(self) -> Sample:
        """A sample that says what all of them measured."""
        return self.samples[0]

    @property
    def values(self) -> list[float]:
        """What was measured, in the order of the rounds."""
        return [sample.value for sample in self.samples]

    @property
    def limits(self) -> list[float]:
        """What the limit was meanwhile, in the order of the rounds; empty without a limit."""
        return [sample.limit.value for sample in self.samples if sample.limit]

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios to the limit."""
        if not self.limits or not all(self.limits):
            return None
        return median(v / limit for v, limit in zip(self.values, self.limits, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the median is as it should be; None where nothing is aimed at."""
        target = self.first.target
        value = self.ratio if target and target.of_limit else median(self.values)
        return None if target is None or value is None else target.is_met(value)

    def as_json(self) -> dict[str, Any]:
        """Return the keys that docs/cli.md lists."""
        first = self.first
        return {
            "section": self.section,
            "name": first.name,
            "unit": first.unit,
            "min": min(self.values),
            "median": median(self.values),
            "max": max(self.values),
            "rounds": self.values,
            "limit": first.limit.name if first.limit else None,
            "limit_rounds": self.limits,
            "ratio": self.ratio,
            "target": str(first.target) if first.target else None,
            "met": self.met,
        }


def gather(samples: Iterable[tuple[str, Sample]]) -> list[Figure]:
    """Put the samples of all rounds together: of each section, name and limit."""
    groups: dict[tuple[str, str, str], list[Sample]] = {}
    for section, sample in samples:
        limit = sample.limit.name if sample.limit else ""
        groups.setdefault((section, sample.name, limit), []).append(sample)
    return [Figure(section, tuple(group)) for (section, *_), group in groups.items()]


def table(figures: Sequence[Figure]) -> str:
    """Return a Markdown table for each section, aligned so that it can be read as it is."""
    texts = []
    for section in dict.fromkeys(figure.section for figure in figures):
        rows = [_row(figure) for figure in figures if figure.section == section]
        texts.append(_aligned([(section, *_HEADER[1:]), *rows]))
    return "\n\n".join(texts)


def _row(figure: Figure) -> tuple[str, ...]:
    first, values = figure.first, figure.values
    three = (short(min(values)), short(median(values)), short(max(values)))
    limit = (first.limit.name, short(median(figure.limits))) if first.limit else ("", "")
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    target = f"{first.target}{'' if figure.met else ' missed'}" if first.target else ""
    return (first.name, *three, first.unit, *limit, ratio, target)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    figures = {1, 2, 3, 6, 7}

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in figures else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = [
        f"{'-' * (width - 1)}:" if column in figures else "-" * width
        for column, width in enumerate(widths)
    ]
    return "\n".join([line(rows[0]), line(rule), *(line(row) for row in rows[1:])])


def short(value: float) -> str:
    """Write a value with about three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
