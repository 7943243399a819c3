"""What an operator may set: one frozen value, from defaults, a file, the environment and flags."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from msgspec import Struct

from kala_trio.core.duration import Duration
from kala_trio.core.errors import Refused
from kala_trio.core.slots import Limits
from kala_trio.core.url import parse_url
from kala_trio.heartbeat import Heartbeat
from kala_trio.logs import LogFormat
from kala_trio.mail import Mailer, MailServer, parse_mail_server, parse_sender
from kala_trio.runner.targets import USUALLY_DENIED, Network, Targets, parse_networks
from kala_trio.runner.variables import VARIABLES

PREFIX = "KALA_TRIO_"
"""What the names of environment variables begin with."""
API_VARIABLE = f"{PREFIX}API"
"""Where the commands that ask a daemon look for it: no setting of the daemon itself."""
TOKEN_VARIABLE = f"{PREFIX}TOKEN"
"""With what token they ask it."""


_HOST_NAME = re.compile("[a-z0-9_-]+(?:[.][a-z0-9_-]+)*")


def default_db() -> Path:
    """Return where the database lies if nobody says: in the user's data directory."""
    return platformdirs.user_data_path("kala-trio") / "kala.db"


class Settings(Struct, frozen=True):
    """All settings; ``grace`` is how many seconds attempts have when the daemon stops (rule C4).

    If there is a ``socket`` it is listened on in place of ``host`` and ``port``, with permissions
    of ``socket_mode``. ``insecure`` lets in whoever reaches ``host``; ``served_as`` are more names
    of it. ``tls_cert`` and ``tls_key`` are files in PEM, both or neither. Of each job's history
    ``keep_runs`` runs are kept, and none for longer than ``keep_days``. ``max_running`` is how many
    runs there may be at once, 0 for any number, and ``max_running_by_tag`` how many of the jobs
    with a tag (rule L12). There are ``max_jobs`` jobs at most (rule M9), which repeat for long at
    ``min_interval`` at least (rule S17), and ``keep_output`` MiB of outputs. ``max_connections``
    are open at once, of them ``max_connections_of_one`` from one address; ``max_rate`` is how many
    requests a second one client may send, ``max_rate_in_all`` all of them. 0, or no duration, means
    any number.
    ``smtp`` is where e-mail goes; ``heartbeat_every`` is in seconds (rule N6). Requests go to
    ``allow_targets``, if there are any, or else anywhere but to ``deny_targets`` (rule Q8).
    """

    host: str = "127.0.0.1"
    port: int = 8000
    socket: Path | None = None
    socket_mode: int = 0o600
    insecure: bool = False
    served_as: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    db: Path = default_db()
    default_owner: str = ""
    verbose: bool = False
    log_format: LogFormat = LogFormat.TEXT
    grace: float = 10.0
    keep_days: int = 90
    keep_runs: int = 1000
    max_running: int = 0
    max_running_by_tag: tuple[tuple[str, int], ...] = ()
    max_jobs: int = 200_000
    min_interval: Duration | None = Duration(microseconds=100_000)
    keep_output: int = 10_240
    max_connections: int = 2_000
    max_connections_of_one: int = 200
    max_rate: int = 200
    max_rate_in_all: int = 0
    smtp: MailServer | None = None
    smtp_from: str = ""
    smtp_password_file: Path | None = None
    heartbeat_url: str = ""
    heartbeat_every: float = 60.0
    allow_targets: tuple[Network, ...] = ()
    deny_targets: tuple[Network, ...] = USUALLY_DENIED

    @property
    def mailer(self) -> Mailer | None:
        """What sends letters, if there is a server."""
        if self.smtp is None:
            return None
        return Mailer(self.smtp, self.smtp_from, self.smtp_password_file)

    @property
    def targets(self) -> Targets:
        """Which addresses may be asked in the name of jobs."""
        return Targets(self.allow_targets, self.deny_targets)

    @property
    def heartbeat(self) -> Heartbeat | None:
        """Who is told that the daemon is well, if anybody."""
        return Heartbeat(self.heartbeat_url, self.heartbeat_every) if self.heartbeat_url else None

    @property
    def limits(self) -> Limits:
        """What the scheduler is to keep to."""
        return Limits(self.max_running, dict(self.max_running_by_tag), self.max_jobs)


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Return the settings: defaults < TOML file < ``KALA_TRIO_*`` variables < ``flags``.

    ``flags`` holds what the command line gave, ``config`` among it; None means not given.

    Raises:
        Refused: a setting is unknown or wrong, or the file cannot be read.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    variables = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        # A daemon that runs as a job of another one finds that one's variables.
        if name.startswith(PREFIX) and name not in (*VARIABLES, API_VARIABLE, TOKEN_VARIABLE)
    }
    config = given.pop("config", None) or variables.pop("config", None)
    values: dict[str, Any] = {}
    sources: list[tuple[Mapping[str, Any], Callable[[str], str]]] = [
        (_read_file(config) if config else {}, lambda name: f"{name} in {config}"),
        (variables, lambda name: f"{PREFIX}{name.upper()}"),
        (given, lambda name: f"--{name.replace('_', '-')}"),
    ]
    for source, call in sources:
        for name, value in source.items():
            if name not in _READ:
                known = ", ".join(call(each) for each in _READ)
                raise Refused(call(name), "there is no such setting", found=value, example=known)
            values[name] = _READ[name](call(name), value)
    return Settings(**values)


def _read_file(path: str | Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError as error:  # also bytes that are no text, and a number of too many digits
        problem = f"is not TOML ({error})"
    except RecursionError:
        problem = "is nested too deeply"
    raise Refused("config", problem, found=os.fspath(path), example="a file that says: port = 8001")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Refused(name, "must be a text", found=value, example='"ada"')
    return value


def _host(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Refused(name, "must be an address to listen on", found=value, example='"127.0.0.1"')
    return value


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise Refused(name, "must be the path of a file", found=value, example='"~/kala.db"')
    return Path(value).expanduser().resolve()


def _place(name: str, value: object) -> Path:
    """Read a path whose links are followed anew each time: certificates are renewed by them."""
    _path(name, value)
    return Path(str(value)).expanduser().absolute()


def _mode(name: str, value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        problem = "must be permissions, as chmod takes them in digits"
        raise Refused(name, problem, found=value, example='"0660"')
    return int(value, 8)


def _names(name: str, value: object) -> tuple[str, ...]:
    names = [each.strip().lower() for each in _text(name, value).split(",") if each.strip()]
    if not all(_HOST_NAME.fullmatch(each) for each in names):
        problem = "must be names without scheme and port, with commas between them"
        raise Refused(name, problem, found=value, example='"kala.example.com,kala"')
    return tuple(names)


def _flag(name: str, value: object) -> bool:
    words = {
        True: True,
        False: False,
        "1": True,
        "true": True,
        "0": False,
        "false": False,
        "": False,
    }
    if not isinstance(value, bool | str) or value not in words:
        raise Refused(name, "must be true or false", found=value, example="true")
    return words[value]


def _log_format(name: str, value: object) -> LogFormat:
    if not isinstance(value, str) or value not in {*LogFormat}:
        raise Refused(name, "must be text or json", found=value, example='"json"')
    return LogFormat(value)


def _seconds(name: str, value: object) -> float:
    if not isinstance(value, str):
        raise Refused(name, "must be a duration", found=value, example='"PT10S"')
    duration = Duration.parse(value, field=name)
    if duration.months or duration.days:
        problem = "must be of hours, minutes and seconds"
        raise Refused(name, problem, found=value, example='"PT10S"')
    return duration.microseconds / 1_000_000


def _interval(name: str, value: object) -> float:
    seconds = _seconds(name, value)
    if not 1 <= seconds <= 86_400:
        raise Refused(name, "must be PT1S to PT24H", found=value, example='"PT1M"')
    return seconds


def _least(name: str, value: object) -> Duration | None:
    text = _text(name, value)
    if text and not 0 < _seconds(name, text) <= 60:
        raise Refused(name, "must be PT1M at most, or empty", found=value, example='"PT1S"')
    return Duration.parse(text, field=name) if text else None


def _smtp(name: str, value: object) -> MailServer | None:
    text = _text(name, value)
    return parse_mail_server(name, text) if text else None


def _address(name: str, value: object) -> str:
    text = _text(name, value)
    return parse_sender(name, text) if text else ""


def _networks(name: str, value: object) -> tuple[Network, ...]:
    return parse_networks(name, _text(name, value))


def _url(name: str, value: object) -> str:
    text = _text(name, value)
    if text:
        try:
            parse_url(text, "ping_url")
        except Refused as error:
            raise Refused(name, error.problem, found=error.found, example=error.example) from None
    return text


def _count(what: str, least: int, most: int, example: str) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        text = str(value)
        written = not isinstance(value, bool) and re.fullmatch("[0-9]{1,18}", text)
        if not written or not least <= int(text) <= most:
            raise Refused(name, f"must be {what} to {most}", found=value, example=example)
        return int(text)

    return read


_MOST = 1_000_000
_TAG_EXAMPLE = '"backup=1,gpu=2"'


def _by_tag(name: str, value: object) -> tuple[tuple[str, int], ...]:
    """Read ``tag=count`` pairs: a table in the file, else a text with commas between them."""
    if isinstance(value, dict):
        pairs = [(tag, str(count)) for tag, count in value.items()]
    elif isinstance(value, str):
        pairs = [pair.rpartition("=")[::2] for pair in value.split(",")] if value else []
    else:
        raise Refused(name, "must be tags with numbers", found=value, example=_TAG_EXAMPLE)
    count = _count("a whole number from 1", 1, _MOST, _TAG_EXAMPLE)
    limits = {tag.strip(): count(name, number.strip()) for tag, number in pairs}
    if len(limits) < len(pairs) or "" in limits:
        raise Refused(name, "must name each tag once", found=value, example=_TAG_EXAMPLE)
    return tuple(limits.items())


_READ: dict[str, Callable[[str, object], Any]] = {
    "host": _host,
    "port": _count("a port from 0 (any free one)", 0, 65_535, "8000"),
    "socket": _place,
    "socket_mode": _mode,
    "insecure": _flag,
    "served_as": _names,
    "tls_cert": _place,
    "tls_key": _place,
    "db": _path,
    "default_owner": _text,
    "verbose": _flag,
    "log_format": _log_format,
    "grace": _seconds,
    "keep_days": _count("a whole number from 1", 1, 36_500, "90"),
    # Ten are what a job shows of itself.
    "keep_runs": _count("a whole number from 10", 10, 1_000_000_000, "1000"),
    "max_running": _count("a whole number from 0 (any number)", 0, _MOST, "50"),
    "max_running_by_tag": _by_tag,
    "max_jobs": _count("a whole number from 0 (any number)", 0, _MOST, "10000"),
    "min_interval": _least,
    "keep_output": _count("a whole number of MiB from 0 (any number)", 0, _MOST, "10240"),
    "max_connections": _count("a whole number from 1", 1, _MOST, "2000"),
    "max_connections_of_one": _count("a whole number from 1", 1, _MOST, "200"),
    "max_rate": _count("a whole number from 0 (any number)", 0, _MOST, "200"),
    "max_rate_in_all": _count("a whole number from 0 (any number)", 0, _MOST, "1000"),
    "smtp": _smtp,
    "smtp_from": _address,
    "smtp_password_file": _path,
    "heartbeat_url": _url,
    "heartbeat_every": _interval,
    "allow_targets": _networks,
    "deny_targets": _networks,
}
