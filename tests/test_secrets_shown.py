"""All bytes that come out of a daemon, searched for the secrets that went in."""

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
from click.testing import CliRunner

from kala_trio.cli import main
from kala_trio.runner.output import output_root
from kala_trio.store.reader import Reader
from kala_trio.tokens import Role, Tokens
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from tests.daemon import FUTURE, PATIENCE, Daemon, eventually, running
from tests.test_mail import Postbox, mail_server
from tests.website import Asked, Website, website

SECRETS = [f'hunter{number} &/{"ü" if number < 2 else "u"}"<x' for number in range(6)]
ENV, FILE, HEADER, URL, HOOK, LATER = SECRETS


def forms(secret: str) -> Iterator[bytes]:
    """Yield what a secret looks like in JSON, HTML, URLs, and by what it could be guessed."""
    yield from (each.encode() for each in (secret, quote(secret), quote(secret, safe="")))
    yield json.dumps(secret).strip('"').encode()
    yield secret.encode("unicode_escape")
    yield from (msgspec.json.encode(secret).strip(b'"'), urlencode({"": secret}).encode()[1:])
    yield secret.partition(" ")[0].encode()
    yield base64.b64encode(secret.encode())[:-4]
    for kind in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b):
        yield kind(secret.encode()).hexdigest()[:12].encode()


class Scan:
    """Whoever asks a daemon with a token, and keeps all that is answered."""

    def __init__(self, daemon: Daemon, token: str) -> None:
        """Ask nothing yet."""
        self._daemon = daemon
        self._token = token
        self.heard: list[tuple[str, bytes]] = []

    def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> bytes:
        """Send a request, and keep its answer with its head; of a stream, what comes at first."""
        place = f"127.0.0.1:{self._daemon.port}"
        connection = http.client.HTTPConnection(place, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in more.items()}
        head = {"Authorization": f"Bearer {self._token}", "Origin": f"http://{place}"} | named
        connection.request(method, path, body, head)
        answer = connection.getresponse()
        is_stream = answer.headers.get_content_type() == "text/event-stream"
        text = answer.readline() if is_stream else answer.read()
        connection.close()
        self.heard.append((f"{method} {path}", str(answer.headers).encode() + text))
        return text

    def run(self, *words: str) -> None:
        """Give a command, and keep what it says."""
        environment = {"KALA_TRIO_API": self._daemon.url, "KALA_TRIO_TOKEN": self._token}
        said = CliRunner().invoke(main, words, env=environment)
        self.heard.append((" ".join(words), said.output.encode()))


def routes(daemon: Daemon) -> list[str]:
    """Return the rules of all that can be got."""

    async def refuse(_: object) -> None:
        raise AssertionError

    output = output_root(daemon.db)
    app = create_app(Reader(daemon.db), refuse, acceptance=Acceptance(), output=output)
    return [each.rule for each in app.url_map.iter_rules() if "GET" in (each.methods or ())]


def parrot(handler: BaseHTTPRequestHandler, it: Asked) -> None:
    """Refuse, and say again what was asked: by HTTP, or by no known language."""
    said = f"{it.path} {it.headers}\r\n\r\n".encode()
    if it.path.startswith("/odd"):
        handler.wfile.write(said)
        return
    handler.send_response(500)
    handler.send_header("Content-Length", str(len(said)))
    handler.end_headers()
    handler.wfile.write(said)


@contextmanager
def a_life(directory: Path) -> Iterator[tuple[Scan, Daemon, Website, Postbox]]:
    """Run a daemon that says much, wants a token, and tells of what happens."""
    box, db = Postbox(), directory / "kala.db"
    token = Tokens(db).new("ada", Role.ADMIN, datetime.now(UTC))
    with mail_server(box) as port, website(parrot) as site:
        flags = ("--verbose", f"--smtp=smtp://localhost:{port}", "--smtp-from=kala@example.com")
        with running(db, *flags) as daemon:
            yield Scan(daemon, token), daemon, site, box


def job_of(site: Website, file: Path) -> dict[str, object]:
    """Return a job that says its secrets aloud, and fails."""
    return {
        "name": "local",
        "command": 'env; echo "url?x=$A"; echo "last $B"; exit 1',
        "shell": True,
        "schedule": FUTURE,
        "secrets": {"A": ENV, "HOOK": f"{site.url}/{quote(HOOK, safe='')}"},
        "secret_files": {"B": str(file)},
        "notify_webhook": "secrets.HOOK",
        "ping_url": "secrets.HOOK",
        "notify_email": ["ada@example.com"],
        "notify_every_time": True,
    }


def request_of(site: Website, path: str) -> dict[str, object]:
    """Return a job that makes a request with secrets."""
    return {
        "name": "remote",
        "type": 1,
        "template_delimiters": "{{ }}",
        "schedule": FUTURE,
        "secrets": {"H": HEADER, "U": URL},
        "remote_properties": {
            "url": f"{site.url}/{path}?key={{{{ secrets.U }}}}",
            "headers": {"Authorization": ["Bearer {{ secrets.H }}"]},
            "body": "{{ secrets.U }}",
            "method": "POST",
        },
    }


def create(scan: Scan, job: dict[str, object]) -> str:
    """Create a job, and return its id."""
    made = json.loads(scan.ask("POST", "/api/v1/job/", json.dumps(job).encode()))
    return str(made["id"])


def is_told(site: Website) -> bool:
    """Tell whether the URL that is a secret has heard of the start, and twice of the failure."""
    return sum(quote(HOOK, safe="") in it.path for it in site.asked) >= 3


def await_end(scan: Scan, run_id: str) -> None:
    """Wait until a run is over."""
    eventually(lambda: json.loads(scan.ask("GET", f"/api/v1/run/{run_id}/"))["run"]["outcome"])


def change(scan: Scan, job_id: str, job: dict[str, object]) -> None:
    """Edit a job by the API and by forms, well and badly, with secrets all over."""
    path, page = f"/api/v1/job/{job_id}/", f"/webui/job/{job_id}/edit/"
    scan.ask("PATCH", path, json.dumps({"secrets": {"A": LATER}}).encode())
    scan.ask("PUT", path, json.dumps(job | {"secrets": {"A": LATER, "HOOK": True}}).encode())
    wrong: list[object] = [LATER, [LATER], {"A": [LATER]}, {"A": f"{LATER}\0"}, {LATER: LATER}]
    for each in wrong:
        for method, where in (("PATCH", path), ("POST", "/api/v1/job/")):
            scan.ask(method, where, json.dumps(job | {"secrets": each}).encode())
    bulk = [job | {"secrets": {"A": LATER}, "retries": -1}]
    scan.ask("POST", "/api/v1/job/bulk/", json.dumps(bulk).encode())
    scan.ask("POST", "/api/v1/job/", json.dumps({"secrets": {"A": LATER}}).encode()[:-2] + b"!")
    scan.ask("PATCH", path, b'{"secrets": {"A": "x"}}', If_Match='"99"')
    for form in (
        {"secrets": f"A={LATER}\nHOOK", "retries": "many"},
        {"secrets": f"A: {LATER}"},
        {"secrets": f"A={LATER}\nHOOK", "preview": "1"},
        {"secrets": json.dumps({"A": LATER}), "name": ""},
    ):
        for where in (page, "/webui/new/", "/webui/preview/"):
            scan.ask("POST", where, urlencode({"name": "a", "command": "b", **form}).encode())


def look(scan: Scan, daemon: Daemon, jobs: list[str]) -> None:
    """Get whatever can be got, of each job and run, and by each command."""
    for rule in routes(daemon):
        for job_id in jobs:
            for run_id in (f"{job_id}.1", f"{job_id}.2"):
                path = rule.replace("<job_id>", job_id).replace("<run_id>", run_id)
                scan.ask("GET", path.replace("<name>", "live.js").replace("<path:rest>", "x"))
    for job_id in jobs:
        scan.ask("GET", f"/api/v1/run/{job_id}.1/output/?follow=true")
        of_one: list[tuple[str, ...]] = [
            *(("job", "show", job_id), ("job", "show", job_id, "--json")),
            *(("runs", job_id), ("show", f"{job_id}.1"), ("show", f"{job_id}.1", "--json")),
            *(("logs", f"{job_id}.1"), ("notices", job_id), ("notices", job_id, "--json")),
            *(("missed", job_id), ("job", "edit", job_id, "--secret", f"A{LATER}=x")),
        ]
        for words in of_one:
            scan.run(*words)
    of_all: list[tuple[str, ...]] = [("job", "list", "--json"), ("job", "list"), ("runs",)]
    for words in [*of_all, ("stats",)]:
        scan.run(*words)
    scan.run("job", "add", "x", "true", "--secret", f"A={LATER}", "--retries", "-1")


def test_no_byte_that_comes_out_of_a_daemon_is_of_a_secret(tmp_path: Path) -> None:
    """K1, K4, K5: answers with their heads, pages, commands, logs, notices, letters and outputs."""
    file = tmp_path / "secret"
    file.write_text(f"{FILE}\n")
    with a_life(tmp_path) as (scan, daemon, site, box):
        local = job_of(site, file)
        jobs = [create(scan, local)]
        jobs += [create(scan, request_of(site, path)) for path in ("http", "odd")]
        for round_ in (1, 2):
            for job_id in jobs:
                scan.ask("POST", f"/api/v1/job/start/{job_id}/")
            for job_id in jobs:
                await_end(scan, f"{job_id}.{round_}")
            if round_ == 1:
                eventually(lambda: len(box.letters) == 1)
                eventually(lambda: is_told(site))
                change(scan, jobs[0], local)
        file.unlink()
        scan.ask("POST", f"/api/v1/job/start/{jobs[0]}/")
        eventually(lambda: len(box.letters) == 3)
        look(scan, daemon, jobs)
        status, errors = daemon.end()
    assert status == 0
    arrived = " ".join(f"{it.path} {it.headers} {it.body!r}" for it in site.asked)
    assert f"Bearer {HEADER}" in arrived
    assert quote(URL, safe="") in arrived
    outputs = [path.read_bytes() for path in output_root(daemon.db).rglob("*") if path.is_file()]
    told = [it.body for it in site.asked if it.headers.get("content-type") == "application/json"]
    assert b"url?x=***\nlast ***" in b"".join(outputs)
    assert told
    everything = [
        *scan.heard,
        ("log", errors.encode()),
        *(("output", each) for each in outputs),
        *(("webhook", each) for each in told),
        *(("letter", each.as_bytes() + each.get_content().encode()) for each in box.letters),
    ]
    found = {
        (what, secret)
        for what, text in everything
        for secret in SECRETS
        if any(form in text for form in forms(secret))
    }
    assert found == set()
