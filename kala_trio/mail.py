"""E-mail, by way of one server: in a thread, which no letter may keep for long."""

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from kala_trio.core.checks.reporting import is_address
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.threads import needing_a_thread

if TYPE_CHECKING:
    import smtplib

# How many seconds the server may take for each of its answers, and for all of them.
_PATIENCE = 15.0
_LONGEST = 60.0
_AT_ONCE = 2
_BRIEF = 300
_EXAMPLE = '"smtp://ada@mail.example.com:587", with --smtp-password-file, or "smtp://localhost"'
_URL = re.compile(
    r"(?P<scheme>smtps?)://(?:(?P<user>[^@/\s]+(?:@[^@/\s]+)?)@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)


class NotSent(Exception):
    """A letter was not sent; the message says why."""


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


class Letter(Struct, frozen=True):
    """What is sent: ``id`` is the same however often it is tried."""

    id: str
    receivers: tuple[str, ...]
    subject: str
    text: str
    at: datetime


def parse_mail_server(name: str, url: str) -> MailServer:
    """Read ``smtp://[user@]host[:port]``, or ``smtps`` for TLS from the start.

    Raises:
        Refused: of ``name``.
    """
    match = _URL.fullmatch(url)
    if match is None:
        problem = "must be smtp:// or smtps://, perhaps a user and @, and the host of a mail server"
        raise Refused(name, problem, found=url, example=_EXAMPLE)
    has_tls, user = match["scheme"] == "smtps", match["user"] or ""
    port = int(match["port"] or (465 if has_tls else 587 if user else 25))
    if not 1 <= port <= 65_535:
        raise Refused(name, "must have a port from 1 to 65535", found=url, example=_EXAMPLE)
    if ":" in user:
        hidden = url.replace(user, f"{user.partition(':')[0]}:…")
        problem = "must not hold the password, which has a file of its own"
        raise Refused(name, problem, found=hidden, example=_EXAMPLE)
    return MailServer(match["host"].strip("[]"), port, has_tls, user)


def parse_sender(name: str, text: str) -> str:
    """Read the address that letters come from; raises Refused of ``name``."""
    if not is_address(text):
        raise Refused(name, "must be an address", found=text, example='"kala@example.com"')
    return text


class Mailer:
    """Sends letters through one server.

    Where that is not this machine it is verified, and never told the password without TLS; letters
    go without only if it offers none.
    """

    def __init__(self, server: MailServer, sender: str, password_file: Path | None) -> None:
        """Send as ``sender``, or in the name of this machine where that is empty."""
        self._server = server
        self._sender = sender or f"kala-trio@{socket.gethostname()}"
        self._password_file = password_file
        self._threads = trio.CapacityLimiter(_AT_ONCE)

    async def send(self, letter: Letter) -> str:
        """Hand a letter to the server; return a word on receivers that it refused, or "".

        When cancelled, and after a minute, it hangs up.

        Raises:
            NotSent: it took the letter for none of them.
        """
        calls: list[smtplib.SMTP] = []
        try:
            with needing_a_thread(), trio.fail_after(_LONGEST):
                return await trio.to_thread.run_sync(
                    self._send, letter, calls, limiter=self._threads, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            raise NotSent(f"{self._server.host} took more than {_LONGEST:g} s") from None
        except Unavailable as error:
            raise NotSent(str(error)) from error
        finally:
            _hang_up(calls)

    def _send(self, letter: Letter, calls: "list[smtplib.SMTP]") -> str:
        # Here, since few daemons need them, and they take some 20 ms.
        import smtplib  # noqa: PLC0415
        import ssl  # noqa: PLC0415
        from email.message import EmailMessage  # noqa: PLC0415
        from email.utils import format_datetime  # noqa: PLC0415

        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(letter.receivers)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{letter.id}@kala-trio>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        server = self._server
        try:
            if server.has_tls:
                context = ssl.create_default_context()
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    server.host, server.port, timeout=_PATIENCE, context=context
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, timeout=_PATIENCE)
            calls.append(smtp)
            with smtp:
                self._secure(smtp)
                refused = smtp.send_message(message, self._sender, letter.receivers)
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(f"{server.host} port {server.port}: {_why(error)}"[:_BRIEF]) from error
        return "; ".join(f"{each} was refused: {why}" for each, why in refused.items())[:_BRIEF]

    def _secure(self, smtp: "smtplib.SMTP") -> None:
        """Let TLS begin where it is wanted, and log in."""
        import ssl  # noqa: PLC0415

        server = self._server
        smtp.ehlo_or_helo_if_needed()
        if not (server.has_tls or server.is_local):
            if smtp.has_extn("starttls"):
                smtp.starttls(context=ssl.create_default_context())
            elif server.user:
                raise OSError("it offers no TLS, and is not told the password without")
        if server.user:
            smtp.login(server.user, self._password())

    def _password(self) -> str:
        if self._password_file is None:
            raise OSError(f"there is no password for {self._server.user}: --smtp-password-file")
        try:
            return self._password_file.read_text().rstrip("\r\n")
        except UnicodeDecodeError:
            raise OSError(f"{self._password_file} does not hold a password as text") from None


def _why(error: Exception) -> str:
    """Say what went wrong, as the server has put it where it has."""
    refused: dict[str, tuple[int, bytes]] = getattr(error, "recipients", {})
    if refused:
        return "; ".join(f"{each}: {code} {_text(text)}" for each, (code, text) in refused.items())
    code, text = getattr(error, "smtp_code", None), getattr(error, "smtp_error", b"")
    return str(error) if code is None else f"{code} {_text(text)}"


def _text(answer: bytes | str) -> str:
    return answer if isinstance(answer, str) else answer.decode(errors="replace")


def _hang_up(calls: "Sequence[smtplib.SMTP]") -> None:
    """End the calls, so that the thread that is in one of them ends soon."""
    for smtp in calls:
        with suppress(OSError):
            if smtp.sock:
                smtp.sock.shutdown(socket.SHUT_RDWR)
