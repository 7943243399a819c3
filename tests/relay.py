"""A way to a daemon on which some exchanges break, for tests of those who ask."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.daemon import PATIENCE, Daemon

CUT = "cut"
"""The request arrives, and the connection breaks before the answer does."""
BUSY = "busy"
"""The request does not arrive, and is answered with 503."""
BUG = "bug"
"""The request does not arrive, and is answered with 500."""
STRANGE = "strange"
"""The request does not arrive, and is answered with a job that has no keys."""


class Relay(ThreadingHTTPServer):
    """Hands requests on, but for those for which there is trouble."""

    daemon_threads = True

    def __init__(self, daemon: Daemon, trouble: list[str]) -> None:
        """Listen on any free port; of ``trouble`` each request takes the first that is left."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = daemon.port
        self.trouble = trouble
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Relay

    def _hand_on(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        trouble = self.server.trouble.pop(0) if self.server.trouble else ""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if trouble in (BUSY, BUG):
            self._answer(503 if trouble == BUSY else 500, {"Retry-After": "0"}, b'{"error": "no"}')
            return
        if trouble == STRANGE:
            self._answer(200, {}, b'{"jobs": {"a": {}}, "next": null}')
            return
        daemon = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        daemon.request(self.command, self.path, body, dict(self.headers))
        answer = daemon.getresponse()
        found = answer.read()
        daemon.close()
        if trouble != CUT:
            self._answer(answer.status, dict(answer.headers), found)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "date", "server", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on  # noqa: N815 - http.server's own

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own
        """Be silent."""


@contextmanager
def relay(daemon: Daemon, *trouble: str) -> Iterator[Relay]:
    """Hand requests on to ``daemon`` until the block ends; the first ones meet this trouble."""
    with Relay(daemon, [*trouble]) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
