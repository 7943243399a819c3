"""A call to a mail server by Python's ``smtplib``, with bounds, and letters as it sends them.

Loaded only by who sends letters.
"""

import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.charset import QP, Charset
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import IO, Self

from kala_trio.core.url import is_host
from kala_trio.letter import Letter

# How many seconds the server may take for each answer, and how many bytes it may say in all.
_PATIENCE = 15.0
_MOST = 64 * 1024

TROUBLE = (smtplib.SMTPException, OSError, ValueError)
"""What a call may raise, whatever the server says; a name that is none is a ValueError."""


class Call(smtplib.SMTP):
    """A call, which may be hung up at any time by whoever is shown its sockets."""

    def __init__(
        self, host: str, port: int, show: Callable[[socket.socket], None], *, has_tls: bool
    ) -> None:
        """Call, and be greeted, over TLS if it ``has_tls``; all here raises ``TROUBLE``.

        ``show`` is called with each socket as soon as it is there.
        """
        self._show = show
        self._has_tls = has_tls
        name = socket.gethostname()
        super().__init__(host, port, name if is_host(name) else "localhost", _PATIENCE)
        self.ehlo_or_helo_if_needed()

    def __enter__(self) -> Self:
        """Talk until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say farewell, whatever comes of that: what was taken is taken."""
        with suppress(*TROUBLE):
            self.quit()
        self.close()

    def begin_tls(self) -> bool:
        """Go on over TLS, with a server that is verified; False if it offers none."""
        if not self.has_extn("starttls"):
            return False
        self.starttls(context=ssl.create_default_context())
        self.ehlo_or_helo_if_needed()
        return True

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        self._show(connection)
        if not self._has_tls:
            return connection
        try:
            context = ssl.create_default_context()
            secured = context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise
        self._show(secured)
        return secured

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer of the server, who may not say too much."""
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """Reads lines, until they are too many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MOST

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"it says more than {_MOST} bytes")
        return line

    def close(self) -> None:
        self._file.close()


def written(sender: str, letter: Letter) -> bytes:
    """Return a letter as it is sent; its subject is always encoded, so that nothing reads it."""
    charset = Charset("utf-8")
    charset.body_encoding = QP
    message = MIMEText(letter.text, _charset=charset)  # type: ignore[arg-type]  # of any charset
    message["From"] = sender
    message["To"] = ", ".join(letter.receivers)
    message["Subject"] = Header(letter.subject, "utf-8").encode()
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = f"<{letter.id}@kala-trio>"
    message["Auto-Submitted"] = "auto-generated"
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
