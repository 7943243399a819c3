"""A browser without JavaScript: it gets pages, fills in their forms, and goes where it is sent."""

import http.client
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.daemon import FUTURE, PATIENCE, Daemon, eventually

_EMPTY = {"meta", "link", "input", "img", "br", "hr"}


class Form:
    """A form of a page, as it is before anybody has touched it; ``buttons`` by what they say."""

    def __init__(self, method: str, action: str) -> None:
        """Begin without any field."""
        self.method = method
        self.action = action
        self.fields: list[tuple[str, str]] = []
        self.buttons: dict[str, tuple[str, str]] = {}

    def names(self) -> set[str]:
        """Return the names of what can be filled in."""
        return {name for name, _ in self.fields}


class Page(HTMLParser):
    """An answer, and what a visitor sees of it."""

    def __init__(self, path: str, status: int, headers: Mapping[str, str], html: str) -> None:
        """Read a page."""
        super().__init__()
        self.path = path
        self.status = status
        self.headers = headers
        self.html = html
        self.words: list[str] = []
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.described: dict[str, str] = {}
        self._open: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """Return all that is written on it, blanks as one."""
        return " ".join(" ".join(self.words).split())

    def form(self, button: str) -> Form:
        """Return the form that has a button which says this."""
        (form,) = (each for each in self.forms if button in each.buttons)
        return form

    def by_id(self, element: str) -> str:
        """Return what is written in an element, blanks as one."""
        return " ".join(self.described[element].split())

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note a tag."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given.get("action", self.path)))
        elif tag == "input":
            self._input(given)
        elif tag == "option" and "selected" in given:
            (name,) = (each["name"] for kind, each in self._open if kind == "select")
            self.forms[-1].fields = [each for each in self.forms[-1].fields if each[0] != name]
            self.forms[-1].fields.append((name, given.get("value", "?")))
        elif tag == "select":
            self.forms[-1].fields.append((given["name"], ""))
        if tag not in _EMPTY:
            self._open.append((tag, given))
            self._texts.append("")

    def _input(self, given: dict[str, str]) -> None:
        if given.get("type") not in ("checkbox", "radio") or "checked" in given:
            value = given.get("value", "on")
            # What has one line can't hold another one.
            self.forms[-1].fields.append((given["name"], re.sub("[\r\n]", "", value)))

    def handle_endtag(self, tag: str) -> None:
        """Note what an element holds."""
        opened, given = self._open.pop()
        text = self._texts.pop()
        assert opened == tag, f"</{tag}> closes <{opened}> {given}"
        if self._texts:
            self._texts[-1] += text
        if tag == "a":
            self.links[" ".join(text.split())] = given.get("href", "")
        elif tag == "button":
            button = (given.get("name", ""), given.get("value", ""))
            self.forms[-1].buttons[" ".join(text.split())] = button
        elif tag == "textarea":
            self.forms[-1].fields.append((given["name"], text.removeprefix("\n")))
        elif tag == "option" and self.forms[-1].fields and self.forms[-1].fields[-1][1] == "?":
            self.forms[-1].fields[-1] = (self.forms[-1].fields[-1][0], text.strip())
        if "id" in given:
            self.described[given["id"]] = text

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._texts:
            self._texts[-1] += data
        self.words.append(data)


class Visitor:
    """Somebody who looks at the pages of a daemon."""

    def __init__(self, daemon: Daemon) -> None:
        """Visit ``daemon``."""
        self._host = f"127.0.0.1:{daemon.port}"

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Send a request as a browser does; redirects are not followed."""
        connection = http.client.HTTPConnection(self._host, timeout=PATIENCE)
        try:
            given = {"Origin": f"http://{self._host}"} if method != "GET" else {}
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, given | named)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read().decode()
        finally:
            connection.close()

    def get(self, path: str) -> Page:
        """Get a page, from where a redirect leads at last."""
        status, headers, text = self.send("GET", path)
        if status == 303:
            return self.get(headers["location"])
        return Page(path, status, headers, text)

    def submit(self, page: Page, button: str, **filled: str | list[str]) -> Page:
        """Press a button of a page after its form was filled in, and go where that leads."""
        form = page.form(button)
        assert filled.keys() <= form.names() or page.status != 200, filled.keys() - form.names()
        fields = [each for each in form.fields if each[0] not in filled]
        for name, values in filled.items():
            texts = [values] if isinstance(values, str) else values
            fields += [(name, each) for each in texts]
        if form.buttons[button][0]:
            fields.append(form.buttons[button])
        encoded = urlencode([(name, _sent(text)) for name, text in fields])
        if form.method == "get":
            return self.get(f"{urlsplit(form.action).path}?{encoded}")
        kind = "application/x-www-form-urlencoded"
        answer = self.send("POST", form.action, encoded.encode(), Content_Type=kind)
        status, headers, text = answer
        if status == 303:
            return self.get(headers["location"])
        return Page(form.action, status, headers, text)


def _sent(text: str) -> str:
    """Return a text with the line breaks that forms have."""
    return re.sub("\r\n?|\n", "\r\n", text)


def assert_safe(page: Page) -> None:
    """Hold that nothing on a page runs but what its own files hold."""
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    for tag, given in page.tags:
        assert tag != "style"
        assert not [name for name in given if name.startswith("on") or name == "style"]
        if tag in ("script", "img", "link"):
            address = given.get("src") or given["href"]
            assert address.startswith("/static/")


def finished(daemon: Daemon, command: str, **fields: object) -> str:
    """Run a line of shell once, and return the id of the run, which is over."""
    given = {"shell": True, "schedule": FUTURE} | fields
    job_id = daemon.create(command=command, **given)
    daemon.post(f"/job/start/{job_id}/")
    eventually(lambda: None not in (daemon.outcomes(job_id) or [None]))
    return f"{job_id}.1"
