"""How the documentation becomes a site: `tox -e docs`, then build/docs/index.html."""

import re
import sys
from itertools import chain
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

_ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(_ROOT))

from docs import reference  # noqa: E402 - found by the line before
from kala_trio import __version__  # noqa: E402

project = "kala-trio"
release = version = __version__
html_title = f"kala-trio {__version__}"
language = "en"

extensions = ["myst_parser"]
myst_heading_anchors = 4
# Files that lie beside docs/, by the names that pages link to them by, and what they are here.
_OUTSIDE = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "reporting.md",
    "../properties/README.md": "properties.md",
    "../clients/node/README.md": "node.md",
}

_SHORT = 14
"""What has no more characters is one word in a table."""

html_theme = "furo"
html_favicon = "../kala_trio/web/static/kala.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
nitpicky = True
exclude_patterns = ["README.md"]


def _write_pages(app: Sphinx) -> None:
    """Make the pages of the reference, and those of files that lie elsewhere."""
    made = Path(app.srcdir) / "made"
    made.mkdir(exist_ok=True)
    pages = {
        "commands.md": reference.commands(),
        "settings.md": reference.settings(),
        "api.md": reference.api(),
    }
    for outside, name in _OUTSIDE.items():
        text = (_ROOT / outside.removeprefix("../")).read_text()
        pages[name] = _from_made(text, Path(outside.removeprefix("../")).parent)
    for name, text in pages.items():
        path = made / name
        if not path.exists() or path.read_text() != text:  # else it would be read anew each time
            path.write_text(text)


def _from_made(text: str, place: Path) -> str:
    """Return the text of a file in ``place`` with its links as they lead from its page."""
    up = "../" * len(place.parts)
    for outside, name in _OUTSIDE.items():
        text = text.replace(f"]({up}{outside.removeprefix('../')}", f"]({name}")
    text = text.replace(f"]({up}docs/", "](../").replace(f"]({up}README.md", "](../index.md")
    # What is no page is named, and leads nowhere.
    return re.sub(r"\[([^]]+)\]\((?!http|#)[^)]*\.(?:yml|py|js)\)", r"\1", text)


def _to_made(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links of docs/ to files outside lead to their pages."""
    if not page.startswith("made/"):
        for outside, name in _OUTSIDE.items():
            source[0] = source[0].replace(f"]({outside}", f"](made/{name}")


def _let_names_be_broken(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let long names in tables go on in the next line, after what joins their words."""
    for cell in doctree.findall(nodes.entry):
        for literal in cell.findall(nodes.literal):
            if len(literal.astext()) <= _SHORT:
                continue
            first, *others = re.split(r"(?<=[_/,=])", literal.astext())
            broken = ((nodes.raw("", "<wbr>", format="html"), nodes.Text(part)) for part in others)
            literal.children = [nodes.Text(first), *chain.from_iterable(broken)]


def setup(app: Sphinx) -> None:
    """Do it when a site is built."""
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _to_made)
    app.connect("doctree-resolved", _let_names_be_broken)
