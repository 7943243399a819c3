"""Letters to a real mail server on this machine, which is sometimes made to look like another."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from kala_trio.core.errors import Refused
from kala_trio.letter import Letter
from kala_trio.mail import Mailer, MailServer, NotSent, parse_mail_server
from tests.daemon import PATIENCE

LETTER = Letter(
    "job.1", ("ada@example.com", "bob@example.com"), "Grüße", "Zeile\n.\n..x\n" + "ü" * 2000 + "\n",
    datetime(2026, 3, 1, tzinfo=UTC),
)  # fmt: skip
# It leads to this machine, but does not look so.
ELSEWHERE = "0.0.0.0"


class Postbox:
    """What has arrived; ``refused`` are receivers that are turned away."""

    def __init__(self, refused: str = "") -> None:
        """Hold nothing."""
        self.letters: list[Any] = []
        self.envelopes: list[Any] = []
        self.refused = refused

    async def handle_RCPT(  # noqa: N802 - the server calls it so
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """Take a receiver."""
        if address == self.refused:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a letter."""
        self.envelopes.append(envelope)
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    known = LoginPassword(b"kala", b"s3cret")
    success = isinstance(data, LoginPassword) and data == known
    return AuthResult(success=success, handled=success)


@contextmanager
def mail_server(box: Postbox, **how: Any) -> Iterator[int]:
    """Run a mail server, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]

        class Bound(Controller):
            """Listens on a socket that is there already, so that nobody takes its port."""

            def _create_server(self) -> Any:
                return self.loop.create_server(
                    self._factory_invoker, sock=bound, ssl=self.ssl_context
                )

        controller = Bound(box, hostname="127.0.0.1", port=port, ready_timeout=PATIENCE, **how)
        controller.start()
        try:
            yield port
        finally:
            controller.stop()


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Return a certificate for both names of this machine, which it trusts."""
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ELSEWHERE, "localhost").configure_cert(context)
    return context


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """Return a file that holds the password, and a newline, as editors leave one."""
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    return path


async def test_a_letter_arrives_as_it_was_written() -> None:
    box = Postbox()
    with mail_server(box) as port:
        assert await Mailer(MailServer("localhost", port), "k@a", None).send(LETTER) == ""
    ((letter,), (envelope,)) = box.letters, box.envelopes
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text
    assert (letter["Subject"], letter["From"]) == ("Grüße", "k@a")
    assert letter["To"] == "ada@example.com, bob@example.com"
    assert letter["Message-ID"] == "<job.1@kala-trio>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"] == "Sun, 01 Mar 2026 00:00:00 +0000"
    assert (envelope.mail_from, envelope.rcpt_tos) == ("k@a", list(LETTER.receivers))


async def test_a_server_elsewhere_gets_the_password_by_tls(
    context: ssl.SSLContext, password: Path
) -> None:
    box = Postbox()
    how = {"tls_context": context, "require_starttls": True, "authenticator": _login}
    with mail_server(box, **how, auth_required=True) as port:
        await Mailer(MailServer(ELSEWHERE, port, user="kala"), "k@a", password).send(LETTER)
    assert len(box.letters) == 1


async def test_tls_from_the_start_is_spoken_where_the_url_says_smtps(
    context: ssl.SSLContext,
) -> None:
    box = Postbox()
    with mail_server(box, ssl_context=context, server_hostname=None) as port:
        await Mailer(MailServer("localhost", port, has_tls=True), "k@a", None).send(LETTER)
    assert len(box.letters) == 1


async def test_a_server_elsewhere_without_tls_gets_no_password(password: Path) -> None:
    with mail_server(Postbox(), authenticator=_login, auth_require_tls=False) as port:
        mailer = Mailer(MailServer(ELSEWHERE, port, user="kala"), "k@a", password)
        with pytest.raises(NotSent, match="offers no TLS, and is not told the password"):
            await mailer.send(LETTER)


async def test_a_server_whose_certificate_nobody_trusts_gets_nothing(
    context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Postbox()
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        mail_server(box, tls_context=context) as port,
        pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        await Mailer(MailServer(ELSEWHERE, port), "k@a", None).send(LETTER)
    assert box.letters == []


async def test_what_the_server_says_against_a_password_is_passed_on(
    context: ssl.SSLContext, password: Path
) -> None:
    with (
        mail_server(Postbox(), tls_context=context, authenticator=_login) as port,
        pytest.raises(NotSent, match=r"535 5[.]7[.]8 Authentication credentials invalid"),
    ):
        await Mailer(MailServer(ELSEWHERE, port, user="ada"), "k@a", password).send(LETTER)


async def test_a_password_that_is_not_there_is_asked_for_by_its_flag(tmp_path: Path) -> None:
    server = MailServer("localhost", 1, user="kala")
    with mail_server(Postbox(), authenticator=_login, auth_require_tls=False) as port:
        server = MailServer("localhost", port, user="kala")
        with pytest.raises(NotSent, match="--smtp-password-file"):
            await Mailer(server, "k@a", None).send(LETTER)
        with pytest.raises(NotSent, match="No such file"):
            await Mailer(server, "k@a", tmp_path / "none").send(LETTER)


async def test_who_was_refused_is_told_though_others_got_the_letter() -> None:
    box = Postbox(refused="bob@example.com")
    with mail_server(box) as port:
        mailer = Mailer(MailServer("localhost", port), "k@a", None)
        assert "bob@example.com was refused" in await mailer.send(LETTER)
        assert box.envelopes[0].rcpt_tos == ["ada@example.com"]
        box.refused = "ada@example.com"
        alone = Letter("1", ("ada@example.com",), "s", "t", LETTER.at)
        with pytest.raises(NotSent, match=r"ada@example[.]com was refused: 550 nobody"):
            await mailer.send(alone)


async def test_a_server_that_is_not_there_is_named_with_its_port() -> None:
    with pytest.raises(NotSent, match=r"localhost port 1: .*refused"):
        await Mailer(MailServer("localhost", 1), "k@a", None).send(LETTER)


async def test_who_gives_up_hangs_up_so_that_no_thread_is_left_behind() -> None:
    greeted, over = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def serve(listener: socket.socket) -> None:
        stream, _ = listener.accept()
        with stream:
            stream.sendall(b"220 hello\r\n")
            stream.recv(1000)  # what it says to that is never answered
            token.run_sync_soon(greeted.set)
            stream.settimeout(PATIENCE)
            if stream.recv(1000) == b"":
                over.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        mailer = Mailer(MailServer("localhost", listener.getsockname()[1]), "k@a", None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mailer.send, LETTER)
            await greeted.wait()
            nursery.cancel_scope.cancel()
        await trio.to_thread.run_sync(over.wait, PATIENCE)
        thread.join()
    assert over.is_set()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", MailServer("localhost", 25)),
        ("smtp://a@mail.example.com", MailServer("mail.example.com", 587, user="a")),
        ("smtps://a@b.c@mail/", MailServer("mail", 465, has_tls=True, user="a@b.c")),
        ("smtp://[::1]:2525", MailServer("::1", 2525)),
    ],
)
def test_a_url_says_where_letters_go_first(url: str, server: MailServer) -> None:
    assert parse_mail_server("--smtp", url) == server
    assert server.is_local == (server.host in ("localhost", "::1"))


@pytest.mark.parametrize(
    "url", ["localhost", "http://a", "smtp://", "smtp://a:0", "smtp://a:65536", "smtp://a/b"]
)
def test_a_url_of_no_mail_server_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(Refused, match=r"--smtp.*smtp://localhost"):
        parse_mail_server("--smtp", url)


def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(Refused, match=r"password.*has a file of its own") as refused:
        parse_mail_server("--smtp", "smtp://ada:s3cret@mail.example.com")
    assert "s3cret" not in str(refused.value)
