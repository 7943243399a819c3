"""What a client may say of a job: a definition, whose rarely used keys stand in groups.

On the wire all keys stand side by side: the groups are for the reader of the code, and spare the
memory of what most jobs leave out.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_type_hints

from msgspec import Struct

MOST_CAUGHT_UP = 1_000
"""The longest backlog that a job may have (rule L11)."""


class Overlap(StrEnum):
    """What becomes of a trigger of a busy job (rules L2, L10)."""

    QUEUE = "queue"
    SKIP = "skip"
    ALLOW = "allow"
    REPLACE = "replace"


class CatchUp(StrEnum):
    """Which of the occurrences that were passed over still run (rules L4, L11)."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class ParentRule(StrEnum):
    """How many of its parents must have succeeded to trigger a child (rules D1, D10)."""

    ANY = "any"
    ALL = "all"


class News(StrEnum):
    """What may be told of a job (rules N1, N2, N4)."""

    START = "start"
    SUCCESS = "success"
    FAILURE = "failure"
    RECOVERY = "recovery"
    LATE = "late"


class Policy(Struct, frozen=True, gc=False, omit_defaults=True):
    """How runs of a job bear with each other, with their parents and with time.

    Rules A5, L10, L11 and D10.
    ``timeout`` is an exact ISO 8601 duration, empty for none; ``max_running`` is for ``allow``, 0
    for no limit.
    """

    timeout: str = ""
    overlap: Overlap = Overlap.QUEUE
    max_running: int = 0
    catch_up: CatchUp = CatchUp.LATEST
    catch_up_limit: int = 100
    parent_rule: ParentRule = ParentRule.ANY


class Retrying(Struct, frozen=True, gc=False, omit_defaults=True):
    """When a failed attempt is followed by another, and after what pause (rules A6, A7).

    Delays are exact ISO 8601 durations, empty for none. The n-th pause is ``retry_delay`` times
    ``retry_backoff`` to the power n-1, at most ``retry_max_delay``, shortened by up to the fraction
    ``retry_jitter``. No ``retry_exit_codes`` means any failure.
    """

    retry_delay: str = ""
    retry_backoff: float = 1.0
    retry_max_delay: str = ""
    retry_jitter: float = 0.0
    retry_exit_codes: tuple[int, ...] = ()


class Timing(Struct, frozen=True, gc=False, omit_defaults=True):
    """What may be said of a job's occurrences beside its ``schedule`` (rules S11 to S16).

    ``schedules`` are further ones, of ISO 8601 or cron; ``not_after`` is a date-time,
    ``excluded_dates`` are dates or pairs of them, ``jitter`` is an exact ISO 8601 duration.
    """

    cron: str = ""
    schedules: tuple[str, ...] = ()
    not_after: str = ""
    excluded_dates: tuple[str, ...] = ()
    jitter: str = ""


class Reporting(Struct, frozen=True, gc=False, omit_defaults=True):
    """Who is told what becomes of a job (rules N1 to N6).

    ``notify_webhook`` and ``ping_url`` are URLs, or ``secrets.NAME`` of a secret that holds one;
    ``notify_email`` are addresses; no ``notify_on`` means failure, recovery and late.
    ``expect_within`` is an exact ISO 8601 duration, empty for none.
    """

    notify_webhook: str = ""
    notify_email: tuple[str, ...] = ()
    notify_on: tuple[News, ...] = ()
    notify_every_time: bool = False
    expect_within: str = ""
    ping_url: str = ""

    @property
    def wanted(self) -> tuple[News, ...]:
        """What ``notify_on`` says, or means where it says nothing."""
        return self.notify_on or (News.FAILURE, News.RECOVERY, News.LATE)


class Remote(Struct, frozen=True, gc=False, omit_defaults=True):
    """The request that an attempt of a remote job is (rule Q1).

    ``headers`` are pairs of a name and its values. ``timeout`` is in seconds, 0 for the usual one
    (rule Q3). No ``method`` is GET, no ``expected_response_codes`` are 200 alone.
    """

    url: str
    method: str = ""
    headers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    body: str = ""
    timeout: float = 0.0
    expected_response_codes: tuple[int, ...] = ()
    follow_redirects: bool = False


class Execution(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the command of a job finds when it starts (rules E2 to E5); empty means the daemon's.

    ``env`` are pairs of a name and its value, ``umask`` is octal; ``shell`` makes the command a
    line for ``/bin/sh``.
    """

    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    user: str = ""
    group: str = ""
    umask: str = ""
    stdin: str = ""
    shell: bool = False


class Secret(Struct, frozen=True, gc=False):
    """A text that is shown to nobody, nor does it show itself in tracebacks and logs."""

    text: str

    def __repr__(self) -> str:
        """Tell that there is one."""
        return "Secret(…)"


class Secrecy(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a job knows that nobody is shown, by its names (rules K1 to K6).

    Of ``secrets`` None stands for the one that the job has already: only in an edit. Of
    ``secret_files`` each attempt reads the secret, from a full path.
    """

    secrets: tuple[tuple[str, Secret | None], ...] = ()
    secret_files: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of them."""
        return tuple(name for some in (self.secrets, self.secret_files) for name, _ in some)


_NAMED = "secrets."


def secret_named(text: str) -> str:
    """Return the name of the secret that a URL is, as ``secrets.NAME``; empty for any other."""
    return text.removeprefix(_NAMED) if text.startswith(_NAMED) else ""


class Definition(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a client writes; ``core.checks.definition.check`` holds what makes one acceptable.

    ``schedule`` (rule S1), ``time_zone`` (an IANA name) and ``epsilon`` (an ISO 8601 duration) are
    kept as they were written; empty means absent. ``file_set`` names the job files that the
    job comes from (rule M11). A child (``parent_jobs``) has no schedule (D1).
    A job has either a command or, if it is remote, ``remote_properties`` (Q1).
    """

    name: str
    command: str
    owner: str = ""
    disabled: bool = False
    schedule: str = ""
    time_zone: str = ""
    parent_jobs: tuple[str, ...] = ()
    on_failure_job: str = ""
    retries: int = 0
    epsilon: str = ""
    resume_at_next_scheduled_time: bool = False
    rerun_lost: bool = False
    tags: tuple[str, ...] = ()
    file_set: str = ""
    remote_properties: Remote | None = None
    template_delimiters: str = ""
    policy: Policy = Policy()
    retrying: Retrying = Retrying()
    execution: Execution = Execution()
    timing: Timing = Timing()
    reporting: Reporting = Reporting()
    secrecy: Secrecy = Secrecy()


_OWN = ("tags", "file_set")
GROUPS: dict[str, type[Struct]] = {
    "policy": Policy,
    "retrying": Retrying,
    "execution": Execution,
    "timing": Timing,
    "reporting": Reporting,
    "secrecy": Secrecy,
}
"""The groups of a definition, by the name of their field."""

_USUAL = {name: getattr(Definition("", ""), name) for name in GROUPS}

KEYS: dict[str, Any] = {
    key: hint
    for name, hints in get_type_hints(Definition).items()
    for key, hint in (get_type_hints(GROUPS[name]) if name in GROUPS else {name: hints}).items()
}
"""All keys that a client may write, side by side, with their types."""


def from_keys(given: Mapping[str, Any]) -> Definition:
    """Return the definition of these keys; what is left out has its default."""
    own = {key: given[key] for key in Definition.__struct_fields__ if key in given}
    for name, group in GROUPS.items():
        if within := {key: given[key] for key in group.__struct_fields__ if key in given}:
            own[name] = group(**within)
    return Definition(**own)


def unusual(definition: Definition) -> dict[str, Any]:
    """Return the keys that Kala has not, where they do not have their default."""
    found = {key: getattr(definition, key) for key in _OWN if getattr(definition, key)}
    for name, usual in _USUAL.items():
        group = getattr(definition, name)
        if group != usual:  # of most jobs most groups are as usual
            found |= _changed(group, usual)
    return found


def _changed(group: Struct, usual: Struct) -> dict[str, Any]:
    fields = group.__struct_fields__
    return {
        key: getattr(group, key) for key in fields if getattr(group, key) != getattr(usual, key)
    }
