"""Letters that somebody wants to be more than letters, and mail servers that say odd things."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kala_trio.core.definition import News
from kala_trio.core.errors import Refused
from kala_trio.core.job import Channel, Notice
from kala_trio.letter import Letter
from kala_trio.mail import Line, Mailer, MailServer, NotSent, parse_mail_server
from kala_trio.report import Report, as_letter
from kala_trio.smtp import written
from tests.daemon import PATIENCE

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LETTER = Letter("job.1", ("ada@example.com",), "subject", "text\n", NOW)
USUAL = {b"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", b"AUTH": b"235 ok\r\n", b"QUIT": b"221 bye\r\n"}


class Scripted:
    """A mail server at ``port`` that answers as it is told; ``letters`` are what it got."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        """Answer what is not among ``answers`` as usual."""
        self._answers = USUAL | answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.letters: list[bytes] = []
        self.over = threading.Event()

    def serve(self) -> None:
        """Talk to one client."""
        stream, _ = self._listener.accept()
        stream.settimeout(PATIENCE)
        with self._listener, stream, stream.makefile("rwb") as file, suppress(OSError):
            self._say(file, self._answers.get(b"", b"220 hi\r\n"))
            while line := file.readline():
                command = line[:4].upper()
                if command == b"DATA":
                    self._say(file, b"354 go\r\n")
                    self.letters.append(_until_the_dot(file))
                self._say(file, self._answers.get(command, b"250 ok\r\n"))
        self.over.set()

    def _say(self, file: Any, words: bytes) -> None:
        file.write(words)
        file.flush()


def _until_the_dot(file: Any) -> bytes:
    lines = []
    while (line := file.readline()) not in (b".\r\n", b""):
        lines.append(line)
    return b"".join(lines)


@contextmanager
def scripted(answers: dict[bytes, bytes] | None = None) -> Iterator[Scripted]:
    """Run such a server for one call."""
    server = Scripted(answers or {})
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    thread.join(PATIENCE)
    assert not thread.is_alive()


def mailer(server: Scripted, user: str = "", password: Path | None = None) -> Mailer:
    """Return who sends letters to it."""
    return Mailer(MailServer("127.0.0.1", server.port, user=user), "k@a.b", password)


HOSTILE = [
    "=?utf-8?q?=0D=0ABcc=3A_eve=40evil.example=0D=0AX=3A?=",
    "=?utf-8?q?=0D=0A=0D=0Abody?=",
    '=?utf-8?b?"=40?=😀',
    "=40漢=2C =?utf-8?b?=22",
    "a\r\nBcc: eve@evil.example",
    "a\u2028Bcc: x\x85y\x0bz\x1c",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_job_is_words_in_a_letter_and_nothing_else(name: str) -> None:
    notice = Notice("j", 1, name, Channel.EMAIL, "a@b.c", News.FAILURE, NOW, None, NOW)
    head, _, _ = written("k@a.b", as_letter(Report(notice))).partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert sorted(names) == sorted(
        [
            *(b"Content-Type", b"MIME-Version", b"Content-Transfer-Encoding", b"From", b"To"),
            *(b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"),
        ]
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=20))
def test_any_name_and_any_words_can_be_written_down(name: str, words: str) -> None:
    notice = Notice("j", 1, name, Channel.EMAIL, "a@b.c", News.FAILURE, NOW, None, NOW)
    words = words.encode(errors="replace").decode()
    message = written("k@a.b", as_letter(Report(notice, words=words)))
    assert message.replace(b"\r\n", b"").count(b"\n") == 0
    assert max(map(len, message.split(b"\r\n"))) < 998  # RFC 5321, section 4.5.3.1.6


@pytest.mark.parametrize(
    "answers",
    [
        {b"EHLO": b"250-x\r\n250 AUTH LOGIN\r\n", b"AUTH": b"334 a\r\n"},
        {b"EHLO": b"250-x\r\n250 AUTH\r\n"},
        {b"AUTH": b"\xff\r\n"},
        {b"": b"554 go away\r\n"},
        {b"": b"\0\r\n"},
        {b"MAIL": b"250 a\r\n250 b\r\n", b"RCPT": b"9\r\n"},
    ],
)
async def test_whatever_a_server_says_a_letter_is_sent_or_it_is_told_why_not(
    answers: dict[bytes, bytes], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret")
    with scripted(answers) as server, pytest.raises(NotSent) as told:
        await mailer(server, "ada", tmp_path / "password").send(LETTER)
    assert str(told.value).isprintable()
    assert "s3cret" not in str(told.value)


async def test_what_a_server_says_is_told_on_one_line() -> None:
    words = b"554-no\r\n554-2026-01-01 CRITICAL forged \x1b[31m\r\n554 end\r\n"
    with scripted({b"": words}) as server, pytest.raises(NotSent) as told:
        await mailer(server).send(LETTER)
    assert str(told.value).isprintable()
    assert "forged" in str(told.value)


async def test_a_letter_that_was_taken_is_sent_whatever_is_said_to_the_farewell() -> None:
    with scripted({b"QUIT": b"500 what?\r\n"}) as server:
        assert await mailer(server).send(LETTER) == ""
    assert len(server.letters) == 1


async def test_a_server_that_talks_without_end_is_hung_up_on() -> None:
    endless = b"250-" + b"x" * 500 + b"\r\n"
    with scripted({b"EHLO": endless * 1000}) as server:
        with pytest.raises(NotSent, match="says more than 65536 bytes"):
            await mailer(server).send(LETTER)
        assert await trio.to_thread.run_sync(server.over.wait, PATIENCE)


async def test_a_server_that_greets_for_ever_is_hung_up_on() -> None:
    """Before there is a whole greeting, too."""
    with scripted({b"": b"220-one moment, please\r\n"}) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mailer(server).send, LETTER)
            await trio.testing.wait_all_tasks_blocked(0.05)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(server.over.wait, PATIENCE)


def test_a_call_that_is_hung_up_before_it_has_begun_ends_as_it_begins() -> None:
    """Its thread may be on its way to the server yet when nobody waits for it any more."""
    line = Line()
    line.cut()
    here, there = socket.socketpair()
    with here, there:
        line.add(here)
        assert here.recv(1) == b""


async def test_a_password_beyond_ascii_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pässwort")
    with scripted() as server, pytest.raises(NotSent, match="does not hold a password") as told:
        await mailer(server, "ada", tmp_path / "password").send(LETTER)
    assert "sswort" not in str(told.value)


@pytest.mark.parametrize("name", ["a" * 64, "x..y", "", "a\nb", "häst"])
async def test_a_machine_of_an_odd_name_sends_letters_all_the_same(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    with scripted() as server:
        assert await Mailer(MailServer("127.0.0.1", server.port), "", None).send(LETTER) == ""
    assert b"kala-trio@" in server.letters[0]


@pytest.mark.parametrize(
    "url",
    [
        *("smtp://mail..example.com", f"smtp://{'a' * 64}.example.com", "smtp://.", "smtp://[::g]"),
        *("smtp://häst", "smtp://dän@mail.example.com"),
    ],
)
def test_a_mail_server_that_cannot_be_looked_up_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="--smtp"):
        parse_mail_server("--smtp", url)


@pytest.mark.parametrize(
    "url",
    [
        *("smtp://ada:s3/cret@mail.example.com", "smtp://ada:s3cret@mail.example.com/inbox"),
        *("smtp://ada:s3cret@host:587x", "smtp://ada:p@s3cret@mail@host", "smtp://a:s3cret@b"),
    ],
)
def test_no_password_in_a_url_is_repeated(url: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_mail_server("--smtp", url)
    assert "s3" not in str(refused.value)
