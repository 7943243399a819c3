"""A plot of curves as SVG, both axes logarithmic: lateness against load."""

import math
from collections.abc import Sequence
from statistics import median
from xml.sax.saxutils import escape

from kala_trio.bench.figures import Figure, short

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 170, 40, 60
_COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#777777")

_Point = tuple[float, float, float, float]  # load, least, median, most


def svg(figures: Sequence[Figure], title: str, x: str, y: str) -> str:
    """Return the plot of all curves in ``figures``; the limits of a curve are one of their own."""
    curves: dict[str, list[_Point]] = {}
    for figure in figures:
        first = figure.first
        if first.curve:
            curves.setdefault(first.curve, []).append(_point(first.load, figure.values))
        if first.curve and first.limit:
            curves.setdefault(first.limit.name, []).append(_point(first.load, figure.limits))
    points = [point for curve in curves.values() for point in curve] or [(1.0, 1.0, 1.0, 1.0)]
    across = _Axis([load for load, *_ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Axis([each for _, *values in points for each in values], _HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 22, title, "font-size='15'"), *_frame(across, up, x, y)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{across.at(load):.1f},{up.at(mid):.1f}" for load, _, mid, _ in curve)
        parts.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2'/>")
        for load, least, mid, most in curve:
            at = across.at(load)
            parts.append(_line(at, up.at(least), at, up.at(most), colour))
            parts.append(f"<circle cx='{at:.1f}' cy='{up.at(mid):.1f}' r='3' fill='{colour}'/>")
        beside = _TOP + 14 + 18 * number
        right = _WIDTH - _RIGHT + 12
        parts.append(_line(right, beside - 4, right + 18, beside - 4, colour))
        parts.append(_text(right + 24, beside, name))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' "
        "font-family='sans-serif' font-size='11'>\n"
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='white'/>\n" + "\n".join(parts) + "\n"
        "</svg>\n"
    )


class _Axis:
    """Puts values between two pixels, each decade as long as the next."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        logarithms = [math.log10(max(value, 0.001)) for value in values]
        self.low = math.floor(min(logarithms))
        self.high = max(math.ceil(max(logarithms)), self.low + 1)
        self._first, self._last = first, last

    def at(self, value: float) -> float:
        share = (math.log10(max(value, 0.001)) - self.low) / (self.high - self.low)
        return self._first + share * (self._last - self._first)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def _frame(across: _Axis, up: _Axis, x: str, y: str) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in across.decades():
        at = across.at(value)
        parts.append(_line(at, _TOP, at, bottom, "#dddddd"))
        parts.append(_text(at, bottom + 18, _tick(value), "text-anchor='middle'"))
    for value in up.decades():
        at = up.at(value)
        parts.append(_line(_LEFT, at, right, at, "#dddddd"))
        parts.append(_text(_LEFT - 8, at + 4, _tick(value), "text-anchor='end'"))
    parts.append(_text((_LEFT + right) / 2, bottom + 42, x, "text-anchor='middle'"))
    middle = (_TOP + bottom) / 2
    turned = f"text-anchor='middle' transform='rotate(-90 20 {middle:.0f})'"
    parts.append(_text(20, middle, y, turned))
    return parts


def _point(load: float, values: Sequence[float]) -> _Point:
    return load, min(values), median(values), max(values)


def _tick(value: float) -> str:
    return short(value) if value >= 100 else f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    ends = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {ends} stroke='{colour}' stroke-width='1.5'/>"


def _text(x: float, y: float, text: str, how: str = "") -> str:
    return f"<text x='{x:.0f}' y='{y:.0f}' {how}>{escape(text)}</text>"
