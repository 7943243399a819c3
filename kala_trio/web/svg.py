"""Pieces of SVG as text: whatever is put into them, what comes out is well-formed.

Nothing here writes a ``style``, which a strict Content-Security-Policy forbids: what is to be
styled has a class, and what must be seen without a style sheet has attributes. Only a drawing that
is a file of its own has a style sheet (``alone``).
"""

import re
from bisect import bisect_right
from html import escape
from itertools import accumulate
from typing import Final
from unicodedata import east_asian_width

_BLANKS: Final = re.compile(r"[\t\n\r]")
_NO_XML: Final = re.compile("[^ -\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def written(text: str) -> str:
    """Return text, and nothing but text: marks are escaped, what XML does not know is replaced."""
    return escape(_NO_XML.sub("\ufffd", _BLANKS.sub(" ", text)))


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Return an element: its children are SVG already, the values of its attributes are not.

    Of an attribute's name ``_`` is ``-``, and one at the end is dropped: ``class_``.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{pairs}>{''.join(children)}</{name}>" if children else f"<{name}{pairs}/>"


def drawing(
    class_: str, role: str, size: tuple[float, float], title: str, *children: str, about: str = ""
) -> str:
    """Return a whole drawing of a width and a height, with a title and what it is about."""
    width, height = size
    described = [element("desc", written(about))] if about else []
    return element(
        "svg",
        element("title", written(title)),
        *described,
        *children,
        xmlns="http://www.w3.org/2000/svg",
        class_=class_,
        role=role,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
    )


def alone(svg: str, style: str) -> str:
    """Return a whole drawing as a file that needs no page around it, with its own style sheet."""
    return f"{svg.removesuffix('</svg>')}{element('style', written(style))}</svg>\n"


def number(value: float) -> str:
    """Return a number as it stands in a drawing, to a hundredth of a unit."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def shortened(text: str, most: int) -> str:
    """Return text that is ``most`` letters wide at most, with … for what is cut off."""
    widths = [*accumulate(2 if east_asian_width(letter) in "WF" else 1 for letter in text)]
    if not widths or widths[-1] <= most:
        return text
    return f"{text[: bisect_right(widths, most - 1)]}…"


def _value(value: str | float) -> str:
    return written(value) if isinstance(value, str) else number(value)
