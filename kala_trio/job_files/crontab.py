"""A crontab to the jobs of a file, and what of it could not be carried over."""

import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import PurePath
from typing import Any

from msgspec import Struct

from kala_trio import bodies
from kala_trio.core.errors import Refused
from kala_trio.job_files.plan import Keys
from kala_trio.job_files.writer import Draft
from kala_trio.templates import accepted

_VARIABLE = re.compile(r"""\s*(['"]?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""")
_NAMED = re.compile(r"@[A-Za-z_]+")
_SAME = {"@midnight": "@daily", "@annually": "@yearly"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SHELLS = {"/bin/sh", "sh"}
_HOME = (
    "cron starts commands in the user's home directory, kala-trio in the daemon's: say cwd: where "
    "one relies on it"
)


class _Settings(Struct):
    """What the variables above a line say."""

    env: dict[str, str]
    shell: str = ""
    time_zone: str = ""
    mail_to: str | None = None


def draft_of_crontab(text: str, at: datetime, *, system: bool) -> Draft:
    """Return the jobs of a crontab, as accepted at ``at``.

    With ``system`` its lines name a user after the time, as those of /etc/crontab do.
    """
    return _Crontab(at, system=system).read(text)


class _Crontab:
    def __init__(self, at: datetime, *, system: bool) -> None:
        self._at = at
        self._system = system
        self._settings = _Settings({})
        self._jobs: dict[str, Keys] = {}
        self._remarks: list[str] = []

    def read(self, text: str) -> Draft:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    self._read_line(line)
                except _NotCarriedOver as error:
                    self._remarks.append(f"line {number} is not carried over: {error}: {line}")
        if self._jobs:
            self._remarks.append(_HOME)
        return Draft(self._jobs, tuple(self._remarks))

    def _read_line(self, line: str) -> None:
        if variable := _VARIABLE.fullmatch(line):
            self._set(variable[2], _unquoted(variable[3]))
            return
        called, keys = self._job(line.strip())
        name = _free(called, self._jobs)
        try:
            accepted(bodies.definition_of({"name": name, **keys}), self._at)
        except Refused as error:
            raise _NotCarriedOver(str(error)) from None
        self._jobs[name] = keys

    def _set(self, name: str, value: str) -> None:
        settings = self._settings
        match name:
            case "CRON_TZ":
                settings.time_zone = value
            case "SHELL":
                settings.shell = value
            case "MAILTO":
                settings.mail_to = value
                addresses = [each.strip() for each in value.split(",") if each.strip()]
                if not all("@" in each for each in addresses):
                    settings.mail_to = None
                    problem = "kala-trio needs whole addresses, and mails what fails or is late"
                    raise _NotCarriedOver(problem)
            case "MAILFROM":
                raise _NotCarriedOver("the daemon says whom mail is from, by --smtp-from")
            case "RANDOM_DELAY":
                raise _NotCarriedOver("say jitter: PT…M of the jobs below it")
            case _:
                settings.env[name] = value

    def _job(self, line: str) -> tuple[str, Keys]:
        """Return what to call the job of a line, and its keys."""
        schedule, rest = _schedule_of(line)
        user = ""
        if self._system:
            user, rest = _split(rest, "a system crontab names a user after the time")
        if not rest:
            raise _NotCarriedOver("there is no command")
        command, stdin = _command_and_input(rest)
        settings = self._settings
        keys: dict[str, Any] = {"command": command, "cron": schedule}
        if settings.shell in _SHELLS or not settings.shell:
            keys["shell"] = True
        else:
            keys["command"] = shlex.join([settings.shell, "-c", command])
        keys |= {
            "time_zone": settings.time_zone,
            "user": user,
            "env": dict(settings.env),
            "stdin": stdin,
            "notify_email": [
                each.strip() for each in (settings.mail_to or "").split(",") if each.strip()
            ],
        }
        return _name_of(command), {key: value for key, value in keys.items() if value}


class _NotCarriedOver(Exception):
    """Why a line is no job here; caught where its number is known."""


def _schedule_of(line: str) -> tuple[str, str]:
    """Return the cron expression of a line, and what follows."""
    if line.startswith("@"):
        named, rest = _split(line, "there is no command")
        if named == "@reboot":
            problem = "kala-trio starts nothing when it is started; systemd can"
            raise _NotCarriedOver(problem)
        return _SAME.get(named, named), rest
    fields = line.split(None, 5)
    if len(fields) < 6:
        raise _NotCarriedOver("five fields of time and a command are wanted")
    return " ".join(fields[:5]), fields[5]


def _split(text: str, problem: str) -> tuple[str, str]:
    first, _, rest = text.replace("\t", " ").partition(" ")
    if not rest.strip():
        raise _NotCarriedOver(problem)
    return first, text[len(first) :].strip()


def _command_and_input(text: str) -> tuple[str, str]:
    r"""Split at the first ``%`` that has no backslash before it; further ones are line ends."""
    command, *lines = (part.replace(r"\%", "%") for part in re.split(r"(?<!\\)%", text))
    return command.strip(), "".join(f"{line}\n" for line in lines)


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _name_of(command: str) -> str:
    """Return what people would call a command: its program, without its directory."""
    words = iter(command.split())
    for word in words:
        if word in ("cd", "exec", "nice", "test", "["):
            next(words, None)
        elif not _ASSIGNMENT.match(word) and word.strip("&|;()"):
            return PurePath(word.strip("'\"&|;()")).name[:100] or "job"
    return "job"


def _free(name: str, taken: Keys) -> str:
    def tries() -> Iterator[str]:
        yield name
        yield from (f"{name} {number}" for number in count(2))

    return next(each for each in tries() if each not in taken)
