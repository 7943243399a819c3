"""E-mail, by way of one server: in a thread, which no letter may keep for long."""

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from kala_trio.core.checks.reporting import is_address
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.core.url import is_host
from kala_trio.letter import Letter, on_one_line
from kala_trio.threads import needing_a_thread

if TYPE_CHECKING:
    from kala_trio.smtp import Call

_LONGEST = 60.0  # seconds, for all of its answers
_AT_ONCE = 4
# Threads whose calls are being hung up count, too.
_THREADS = 40
_BRIEF = 300
_EXAMPLE = '"smtp://ada@mail.example.com:587", with --smtp-password-file, or "smtp://localhost"'
_URL = re.compile(
    r"(?P<scheme>smtps?)://(?:(?P<user>[^@/\s]+(?:@[^@/\s]+)?)@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)


class NotSent(Exception):
    """A letter was not sent; the message says why, on one line."""


class MailServer(Struct, frozen=True):
    """Where letters go first: with TLS from the start, or as ``Mailer`` says."""

    host: str
    port: int
    has_tls: bool = False
    user: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that nobody is in between."""
        if self.host == "localhost":
            return True
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return False


def parse_mail_server(name: str, url: str) -> MailServer:
    """Read ``smtp://[user@]host[:port]``, or ``smtps`` for TLS from the start.

    Raises:
        Refused: of ``name``.
    """
    match = _URL.fullmatch(url)
    if match is None or not is_host(match["host"].strip("[]")):
        # What stands before an @ may hold a password.
        shown = f"…@{url.rpartition('@')[2]}" if "@" in url else url
        problem = "must be smtp:// or smtps://, perhaps a user and @, and the host of a mail server"
        raise Refused(name, problem, found=shown, example=_EXAMPLE)
    has_tls, user = match["scheme"] == "smtps", match["user"] or ""
    port = int(match["port"] or (465 if has_tls else 587 if user else 25))
    if not 1 <= port <= 65_535:
        raise Refused(name, "must have a port from 1 to 65535", found=url, example=_EXAMPLE)
    if ":" in user or not user.isascii():
        problem = "must have an ASCII user without the password, which has a file of its own"
        raise Refused(name, problem, found=f"…@{match['host']}", example=_EXAMPLE)
    return MailServer(match["host"].strip("[]"), port, has_tls, user)


def parse_sender(name: str, text: str) -> str:
    """Read the address that letters come from; raises Refused of ``name``."""
    if not is_address(text):
        raise Refused(name, "must be an address", found=text, example='"kala@example.com"')
    return text


class Line:
    """The sockets by which a letter goes out, so that it can be cut off from elsewhere."""

    def __init__(self) -> None:
        """Begin without any."""
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def add(self, connection: socket.socket) -> None:
        """Take one more, which is cut off at once if the others were."""
        self._sockets.append(connection)
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End all that goes by it, so that a thread that waits for an answer ends soon."""
        self._is_cut = True
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Mailer:
    """Sends letters through one server.

    Where that is not this machine it is verified, and never told the password without TLS; letters
    go without only if it offers none.
    """

    def __init__(self, server: MailServer, sender: str, password_file: Path | None) -> None:
        """Send as ``sender``, or in the name of this machine where that is empty."""
        self._server = server
        usual = f"kala-trio@{socket.gethostname()}"
        self._sender = sender or (usual if is_address(usual) else "kala-trio@localhost")
        self._password_file = password_file
        self._turns = trio.Semaphore(_AT_ONCE)
        self._threads = trio.CapacityLimiter(_THREADS)

    async def send(self, letter: Letter) -> str:
        """Hand a letter to the server; return a word on receivers that it refused, or "".

        When cancelled, and after a minute, it hangs up.

        Raises:
            NotSent: it took the letter for none of them.
        """
        line = Line()
        async with self._turns:
            try:
                with needing_a_thread(), trio.fail_after(_LONGEST):
                    return await trio.to_thread.run_sync(
                        self._send, letter, line, limiter=self._threads, abandon_on_cancel=True
                    )
            except trio.TooSlowError:
                raise NotSent(f"{self._server.host} took more than {_LONGEST:g} s") from None
            except Unavailable as error:
                raise NotSent(str(error)) from error
            finally:
                line.cut()

    def _send(self, letter: Letter, line: Line) -> str:
        # Here, since few daemons need it, and it takes some 20 ms.
        from kala_trio.smtp import TROUBLE, Call, written  # noqa: PLC0415

        server = self._server
        try:
            with Call(server.host, server.port, line.add, has_tls=server.has_tls) as call:
                self._secure(call)
                message = written(self._sender, letter)
                refused = call.sendmail(self._sender, letter.receivers, message)
        except TROUBLE as error:
            words = f"{server.host} port {server.port}: {_why(error)}"
            raise NotSent(on_one_line(words)[:_BRIEF]) from error
        return on_one_line("; ".join(_refusals(refused)))[:_BRIEF]

    def _secure(self, call: "Call") -> None:
        """Let TLS begin where it is wanted, and log in."""
        server = self._server
        if not (server.has_tls or server.is_local) and not call.begin_tls() and server.user:
            raise OSError("it offers no TLS, and is not told the password without")
        if server.user:
            call.login(server.user, self._password())

    def _password(self) -> str:
        if self._password_file is None:
            raise OSError(f"there is no password for {self._server.user}: --smtp-password-file")
        try:
            return self._password_file.read_text("ascii").rstrip("\r\n")
        except UnicodeDecodeError:
            raise OSError(f"{self._password_file} does not hold a password in ASCII") from None


def _why(error: Exception) -> str:
    """Say what went wrong, as the server has put it where it has."""
    if refused := getattr(error, "recipients", None):
        return "; ".join(_refusals(refused))
    code, text = getattr(error, "smtp_code", None), getattr(error, "smtp_error", b"")
    if code is not None:
        return f"{code} {_text(text)}"
    return str(error) or type(error).__name__


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> list[str]:
    return [f"{each} was refused: {code} {_text(why)}" for each, (code, why) in refused.items()]


def _text(answer: bytes | str) -> str:
    return answer if isinstance(answer, str) else answer.decode(errors="replace")
