"""What drawings are judged by: names that are meant to break them, and SVG as it is read back."""

import re
from xml.etree import ElementTree as ET

from hypothesis import strategies as st

NAMESPACE = "{http://www.w3.org/2000/svg}"
_KNOWN = {
    *("svg", "title", "desc", "g", "a", "rect", "text", "path", "line", "circle", "polygon"),
}
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")

names = (
    st.text(st.characters(), max_size=40)
    | st.text("<>&\"'/]!-;\0\x1b\r\n\ud800\ufffe", max_size=20)
    | st.sampled_from(
        [
            "</title><script>alert(1)</script>",
            '" onload="alert(1)',
            "]]>&amp;&lt;",
            "<!--",
            "夜間バックアップ" * 10,
        ]
    )
)


def read(text: str) -> ET.Element:
    """Return a drawing that is well-formed, and has no elements and no attributes but its own."""
    root = ET.fromstring(text)
    assert root.tag == f"{NAMESPACE}svg"
    assert root[0].tag == f"{NAMESPACE}title"
    for each in root.iter():
        assert each.tag.removeprefix(NAMESPACE) in _KNOWN
        assert not any(key == "style" or key.startswith("on") for key in each.attrib)
    return root


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    """Return the elements of a class, in order."""
    return [each for each in root.iter() if name in each.get("class", "").split()]


def child(element: ET.Element, tag: str) -> ET.Element:
    """Return the first child of that name."""
    found = element.find(f"{NAMESPACE}{tag}")
    assert found is not None
    return found


def number(element: ET.Element, key: str) -> float:
    """Return the number that an attribute is."""
    return float(element.attrib[key])


def numbers(text: str) -> list[float]:
    """Return all numbers in a text, such as a path."""
    return [float(each) for each in _NUMBERS.findall(text)]


def legible(name: str) -> str:
    """Return a name as it can be read back: without what XML does not know."""
    blank = re.sub("[\t\n\r]", " ", name)
    return re.sub("[\0-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", blank)
