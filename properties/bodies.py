"""The bodies that the API's properties send: a job's keys with good, nearly good and odd values.

Which keys there are, and of what type each is, ``KEYS`` tells; so a new key is drawn as
soon as it exists.
"""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from kala_trio.core.definition import GROUPS, KEYS, Execution, News
from properties.nearly import NEARLY
from properties.remotes import NEARLY_PROPERTIES, NOT_REMOTE, remote_properties, urls

Fields = dict[str, Any]

TYPES = KEYS

USUAL: Fields = json.loads(
    msgspec.json.encode(
        {"tags": [], "file_set": ""}
        | {
            key: value
            for group in GROUPS.values()
            for key, value in zip(group.__struct_fields__, group.__struct_defaults__, strict=True)
        }
    )
)
USUAL |= {"env": {}, "secrets": {}, "secret_files": {}}
"""The values that an answer leaves out."""

_ORDINARY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_TEXTS = st.text(_ORDINARY, max_size=12)
_IDS = st.uuids(version=4).map(str)

GOOD: dict[str, st.SearchStrategy[Any]] = {
    "name": st.text(_ORDINARY, min_size=1, max_size=12).filter(str.strip),
    "command": st.sampled_from(
        ["true", "sh -c 'echo \"§\" | tr § x'", "printf %s\\n 日次", "a\n b"]
    ),
    "owner": _TEXTS,
    "schedule": st.sampled_from(
        [
            "",
            "R//PT10S",
            "R2//P1M",
            "R/2990-01-31T18:00:00Z/P1M",
            "R5/2990-03-28T02:30:00[Europe/Berlin]/P1D",
            "29900131T180000+0200",
            "R0/2990-01-01T00:00:00,5Z/",
            "R-1/2990-01-01T00:00Z/2990-01-01T00:01Z",
        ]
    ),
    "epsilon": st.sampled_from(["", "PT5S", "P1W2D", "P1M", "PT0,5H"]),
    "time_zone": st.sampled_from(["", "", "UTC"]),
    "retries": st.integers(0, 3) | st.integers(0, 1_000_000),
    "disabled": st.booleans(),
    "resume_at_next_scheduled_time": st.booleans(),
    "rerun_lost": st.booleans(),
    "template_delimiters": st.sampled_from(["", "<% %>", "[[ ]]"]),
    "tags": st.lists(st.sampled_from(["backup", "a b", "日次"]), unique=True, max_size=3),
    "file_set": st.sampled_from(["", "website", "日次"]),
    "cron": st.sampled_from(["", "0 9 * * MON-FRI", "@daily", "*/5 0-6 L * 1#2"]),
    "schedules": st.lists(
        st.sampled_from(["R//PT10S", "0 0 29 2 *", "R/2990-01-31T18:00:00Z/P1M"]), max_size=2
    ),
    "not_after": st.sampled_from(["", "2995-01-01", "2995-01-01T00:00:00Z"]).filter(
        lambda text: text != "2995-01-01"
    ),
    "excluded_dates": st.lists(
        st.sampled_from(["2026-12-25", "2026-12-24/2027-01-01"]), max_size=2
    ),
    "jitter": st.sampled_from(["", "PT5M", "PT0.5S"]),
    "env": st.dictionaries(st.sampled_from(["LANG", "A b", "日"]), _TEXTS, max_size=3),
    "cwd": st.sampled_from(["", "/", "/tmp/a b"]),
    "user": st.sampled_from(["", "nobody", "65534"]),
    "group": st.sampled_from(["", "nogroup", "0"]),
    "umask": st.sampled_from(["", "027", "0077"]),
    "stdin": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    "shell": st.booleans(),
    "timeout": st.sampled_from(["", "PT5M", "PT0.5S"]),
    "overlap": st.sampled_from(["queue", "allow"]),
    "max_running": st.just(0),
    "catch_up": st.sampled_from(["latest", "none"]),
    "catch_up_limit": st.integers(1, 1000),
    "parent_rule": st.sampled_from(["any", "all"]),
    "retry_delay": st.sampled_from(["", "PT10S", "PT1M0.5S"]),
    "retry_backoff": st.sampled_from([1, 1.5, 2, 1000]),
    "retry_max_delay": st.sampled_from(["", "PT1H"]),
    "retry_jitter": st.sampled_from([0, 0.25, 1]),
    "retry_exit_codes": st.lists(st.integers(1, 255), unique=True, max_size=3),
    "notify_webhook": st.just("") | urls(),
    "notify_email": st.lists(
        st.sampled_from(["ada@example.com", "o'b.c+d@localhost", "X@a-1.b"]), unique=True
    ),
    "notify_on": st.lists(st.sampled_from([*News]).map(str), unique=True),
    "notify_every_time": st.booleans(),
    "expect_within": st.sampled_from(["", "PT1H", "PT0.5S"]),
    "ping_url": st.just("") | urls(),
}
"""Values that are accepted whatever else a body says, but for the keys that hold ids."""

assert set(NEARLY) == set(TYPES)
_APART = {"secrets", "secret_files"}  # test_secrets adds them to what is drawn
_IDS_OR_REQUESTS = {"parent_jobs", "on_failure_job", "remote_properties"}
assert set(GOOD) == set(TYPES) - _IDS_OR_REQUESTS - _APART

NO_SCHEDULE: Fields = {
    **dict.fromkeys(("schedule", "cron", "not_after", "jitter"), ""),
    "schedules": [],
    "excluded_dates": [],
}
"""What a child says of the time at which it runs."""

READ_ONLY = [
    *(
        "id",
        "version",
        "dependent_jobs",
        "next_run_at",
        "success_count",
        "error_count",
        "last_success",
    ),
    *(
        "last_error",
        "last_attempted_run",
        "metadata",
        "stats",
        "is_done",
        "number_of_finished_runs",
    ),
]
UNSUPPORTED: dict[str, list[Any]] = {
    "type": [2, -1, 0.0, 1.0, False, True, "0", None, []],
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def good_fields(draw: st.DrawFn, ids: list[str], *, remote: bool | None = None) -> Fields:
    """Draw a body that is accepted, where ``ids`` are those of jobs that exist.

    ``remote`` says of which kind the job is to be, and None of any.
    """
    given = draw(st.fixed_dictionaries({}, optional=GOOD))
    fields = {"name": draw(GOOD["name"]), "command": draw(GOOD["command"])} | given
    if draw(st.sampled_from([False, False, True])) if remote is None else remote:
        for key in ("command", "retry_exit_codes", *Execution.__struct_fields__):
            fields.pop(key, None)
        fields |= {"type": 1, "remote_properties": draw(remote_properties)}
        fields |= draw(st.sampled_from([{}, {"command": ""}]))
        if fields.get("template_delimiters"):
            # The text that is drawn is no template, and NUL may stand in none.
            fields["remote_properties"] |= {"headers": None, "body": "a\n<b> [c]"}
    else:
        fields |= draw(st.sampled_from([{}, {"type": 0}, {"remote_properties": NOT_REMOTE}]))
        if fields.get("template_delimiters"):
            fields.pop("shell", None)  # a line of shell is no template
    if fields.get("expect_within"):  # somebody has to be told of it
        fields |= {"notify_webhook": "http://a", "notify_on": []}
    if "[" in fields.get("schedule", "") or "+" in fields.get("schedule", ""):
        fields["time_zone"] = ""  # another one would contradict it
    followed = draw(st.sampled_from(["nobody", "nobody", "parents", "failure"])) if ids else ""
    # Not both: together they might close a circle.
    if followed == "parents":
        fields["parent_jobs"] = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3))
        fields |= NO_SCHEDULE
    elif followed == "failure":
        fields["on_failure_job"] = draw(st.sampled_from(ids))
    ignored = draw(st.dictionaries(st.sampled_from(READ_ONLY), values, max_size=2))
    return fields | ignored


@st.composite
def wrong_fields(draw: st.DrawFn) -> tuple[str, Fields]:
    """Draw a body that is refused because of one key, and that key."""
    nested = [f"remote_properties.{key}" for key in NEARLY_PROPERTIES]
    key = draw(st.sampled_from([*NEARLY, *UNSUPPORTED, *nested, "shedule", "parent_job", "Name"]))
    if key in nested:
        return key, draw(_remote_with(key.partition(".")[2]))
    fields = draw(good_fields([], remote=False if key == "command" else None))
    if key == "type" and draw(st.booleans()):
        return key, {**fields, "remote_properties": draw(remote_properties), "type": 0}
    if key in TYPES:
        wrong = st.sampled_from(NEARLY[key]) | st.sampled_from(_of_another_type(key))
    elif key in UNSUPPORTED:
        wrong = st.sampled_from(UNSUPPORTED[key])
    else:
        wrong = values
    value = draw(wrong)
    if key == "command":
        fields.pop("shell", None)  # which takes any line
    if key in Execution.__struct_fields__:  # only a command has them
        fields = draw(good_fields([], remote=False))
    if key == "parent_jobs":
        fields |= NO_SCHEDULE
    if key == "schedule":  # one that is over is refused only where it is the only one
        fields |= {"cron": "", "schedules": []}
    if key in ("name", "command") and draw(st.booleans()):
        return key, {name: fields[name] for name in fields if name != key}
    return key, fields | {key: value}


@st.composite
def _remote_with(draw: st.DrawFn, key: str) -> Fields:
    """Draw a remote job of which one property is wrong."""
    fields = draw(good_fields([], remote=True))
    properties = fields["remote_properties"]
    if key == "url" and draw(st.booleans()):
        gone = draw(st.sampled_from([None, {}, {"url": "", "headers": None, "timeout": 0}]))
        return fields | {"remote_properties": gone}
    wrong = st.sampled_from(NEARLY_PROPERTIES[key])
    if key not in ("timeout", "follow_redirects"):
        wrong |= st.sampled_from([True, 7, 1.5, {"a": 1}, [[7]]])
    return fields | {"remote_properties": properties | {key: draw(wrong)}}


def _of_another_type(key: str) -> list[Any]:
    kinds: dict[Any, list[Any]] = {
        str: ["x"],
        bool: [True],
        int: [7],
        float: [1.5],
        tuple[str, ...]: [["x"]],
        tuple[int, ...]: [[7]],
    }
    if TYPES[key] == tuple[News, ...]:
        kinds[tuple[News, ...]] = []
    fitting = {TYPES[key], *_ALSO.get(TYPES[key], ())}
    others = [value for kind, some in kinds.items() if kind not in fitting for value in some]
    return [*others, {"a": 1}]


# A whole number is a number, and may stand for a job of a list.
_ALSO: dict[Any, tuple[Any, ...]] = {float: (int,)}


@st.composite
def good_lists(draw: st.DrawFn, ids: list[str]) -> list[Fields]:
    """Draw a list that is accepted; its jobs may follow those before them."""
    entries: list[Fields] = []
    for drawn in draw(st.lists(good_fields(ids), max_size=4)):
        fields = drawn
        names = [each["name"] for each in entries]
        known: list[Any] = [*range(len(names)), *(name for name in names if names.count(name) == 1)]
        kind = draw(st.sampled_from(["as it is", "parents", "failure"])) if known else ""
        if kind in ("parents", "failure"):
            fields = {key: drawn[key] for key in drawn if key not in _FOLLOWING}
        if kind == "parents":
            fields["parent_jobs"] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
            fields |= NO_SCHEDULE
        elif kind == "failure":
            fields["on_failure_job"] = draw(st.sampled_from(known))
        entries.append(fields)
    return entries


_FOLLOWING = ("parent_jobs", "on_failure_job")


_ODD = [
    "\0",
    "\ufeff",
    "\\",
    '"',
    "{",
    "]",
    ":",
    ",",
    "1e999",
    "NaN",
    "\\ud800",
    "\\u0000",
    "'",
    "９",
]


@st.composite
def edited(draw: st.DrawFn, text: str) -> bytes:
    """Draw ``text`` after one edit: something deleted, inserted, doubled, cut off or replaced."""
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 12)))
    odd = draw(st.sampled_from(_ODD) | st.text(max_size=3))
    changed = draw(
        st.sampled_from(
            [
                text[:start] + text[end:],
                text[:start] + odd + text[start:],
                text[:end] + text[start:],
                text[:start],
                text[:start] + odd + text[end:],
            ]
        )
    )
    return changed.encode(errors="surrogatepass")


def _encoded(fields: Fields) -> bytes:
    return json.dumps(fields).encode()


@st.composite
def any_bodies(draw: st.DrawFn, ids: list[str]) -> bytes:
    """Draw bodies of every kind, most of them a little wrong."""
    several = st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(some) for key, some in NEARLY.items()}
    )
    good = draw(good_fields(ids))
    text = json.dumps(good, ensure_ascii=draw(st.booleans()))
    return draw(
        edited(text)
        | several.map(lambda fields: _encoded(good | fields))
        | st.dictionaries(st.text(max_size=8) | st.sampled_from([*TYPES]), values).map(_encoded)
        | values.map(lambda value: json.dumps(value).encode())
        | st.sampled_from(["utf-16", "utf-8-sig", "utf-32", "latin-1"]).map(
            lambda encoding: text.encode(encoding, errors="replace")
        )
        | st.just(b"[" * 5_000)
        | st.binary(max_size=40)
    )
