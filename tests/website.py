"""A web server for tests of remote jobs, in a thread: it answers as its test says."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import trustme


class Asked(NamedTuple):
    """A request that has arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler, Asked], None]
"""Writes the answer to a request."""


class Website:
    """A server at ``url``; ``asked`` are the requests that it got, in order."""

    def __init__(self, answer: Answer, certificate: trustme.LeafCert | None = None) -> None:
        """Answer each request by ``answer``, over TLS if there is a certificate."""
        site = self
        self.asked: list[Asked] = []
        self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline()
                if self.raw_requestline and self.parse_request():
                    size = int(self.headers.get("Content-Length", 0))
                    headers = {
                        name.lower(): ", ".join(self.headers.get_all(name, ()))
                        for name in self.headers
                    }
                    it = Asked(self.command, self.path, headers, self.rfile.read(size))
                    site.asked.append(it)
                    with suppress(BrokenPipeError, ConnectionResetError):
                        answer(self, it)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1000

            def handle_error(self, *_: object) -> None:
                pass  # clients that went away

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            listener = self._server.socket
            self._server.socket = context.wrap_socket(
                listener, server_side=True, do_handshake_on_connect=False
            )
            self.url = f"https://localhost:{self.port}"

    def serve(self) -> None:
        """Serve until ``close``."""
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        """End, and wake whoever waits for ``over``."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def website(answer: Answer, certificate: trustme.LeafCert | None = None) -> Iterator[Website]:
    """Run a server until the block ends."""
    site = Website(answer, certificate)
    thread = threading.Thread(target=site.serve, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.close()
        thread.join()


def saying(status: int, body: bytes = b"") -> Answer:
    """Return what answers each request with this status and body."""

    def answer(handler: BaseHTTPRequestHandler, _: Asked) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def waiting(handler: BaseHTTPRequestHandler, _: Asked) -> None:
    """Answer never, but end with the connection."""
    handler.connection.recv(1)
