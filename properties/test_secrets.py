"""Secrets: nothing that is shown holds one, what is shown may be sent back, and outputs hide them.

They are added to definitions that are drawn elsewhere.
"""

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio import bodies, wire
from kala_trio.core.checks.definition import check
from kala_trio.core.checks.secrecy import with_kept
from kala_trio.core.definition import Definition, Remote, Reporting, Secrecy, Secret
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Job, Run, Trigger
from kala_trio.core.messages import Create, Edit, Keep, StartAttempt
from kala_trio.core.scheduler import Scheduler
from kala_trio.runner.mask import MASK, SHORTEST, Mask, Masking
from kala_trio.templates import accepted, filled_in
from kala_trio.web.pages import fields
from properties.strategies import ACCEPTED_AT
from properties.test_wire import definitions, view_of

MARK = "q7Zk-secret"
"""What stands in each secret that is drawn, and nowhere else."""

ordinary = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
secrets = st.text(ordinary, max_size=12).map(lambda text: f"{MARK}{text}")
names = st.sampled_from(["A", "_b", "PGPASSWORD"])
some_secrets = st.dictionaries(names, secrets, min_size=1)
some_files = st.dictionaries(st.sampled_from(["C", "D"]), st.just("/run/secrets/c"))


def keeping(definition: Definition, texts: dict[str, str], files: dict[str, str]) -> Definition:
    """Return a definition with these secrets."""
    wrapped = tuple((name, Secret(text)) for name, text in texts.items())
    own = replace(definition, secrecy=Secrecy(wrapped, tuple(files.items())))
    return replace(own, template_delimiters="<% %>") if own.remote_properties else own


@given(definitions, some_secrets, some_files)
def test_nothing_that_is_shown_of_a_job_holds_a_secret(
    definition: Definition, texts: dict[str, str], files: dict[str, str]
) -> None:
    """K1: neither answers, nor forms, nor what Python makes of it in a log."""
    kept = keeping(definition, texts, files)
    shown = wire.encode_job(view_of(kept))
    again = wire.encode_definition(kept, disabled=False)
    assert shown["secrets"] == again["secrets"] == dict.fromkeys(texts, True)
    for told in (shown, again, fields.texts(again), repr(kept)):
        assert MARK not in json.dumps(told, default=str)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Definition) == kept


@given(definitions, some_secrets, some_files)
def test_what_is_shown_may_be_sent_back_and_changes_nothing(
    definition: Definition, texts: dict[str, str], files: dict[str, str]
) -> None:
    """K2: as a whole, as a patch, and as a form."""
    kept = keeping(definition, texts, files)
    shown = wire.encode_definition(kept, disabled=kept.disabled)
    whole = bodies.decode_job(wire.encode(wire.encode_job(view_of(kept))), default_owner="")
    patched = bodies.patch_job(shown, wire.encode(shown), default_owner="")
    assert with_kept(whole, kept) == with_kept(patched, kept) == kept
    form = {key: [text] for key, text in fields.texts(shown).items()}
    assert fields.patch(shown, form) == {}


@given(some_secrets, st.dictionaries(names, secrets | st.none()))
def test_an_edit_changes_the_secrets_that_it_writes_and_no_other(
    before: dict[str, str], change: dict[str, str | None]
) -> None:
    """K2: null takes one away."""
    kept = keeping(Definition("a", "true"), before, {})
    shown = wire.encode_definition(kept, disabled=False)
    patched = bodies.patch_job(shown, wire.encode({"secrets": change}), default_owner="")
    wanted = {name: text for name, text in {**before, **change}.items() if text is not None}
    assert with_kept(patched, kept).secrecy == keeping(kept, wanted, {}).secrecy


@given(st.sets(names), st.sets(names, min_size=1))
def test_no_secret_is_kept_that_is_not_there(had: set[str], wanted: set[str]) -> None:
    """K2: neither by an edit, nor by a create; and then nothing has changed."""
    scheduler = Scheduler()
    before = keeping(Definition("a", "true"), dict.fromkeys(had, MARK), {})
    scheduler.handle(Create("j", before), ACCEPTED_AT)
    definition = Definition("b", "true", secrecy=Secrecy(tuple((each, None) for each in wanted)))
    if wanted <= had:
        commands = scheduler.handle(Edit("j", definition), ACCEPTED_AT)
        kept = [each.value for each in commands if isinstance(each, Keep)]
        (job,) = (each for each in kept if isinstance(each, Job))
        assert dict(job.definition.secrecy.secrets) == dict.fromkeys(wanted, Secret(MARK))
    else:
        with pytest.raises(Refused, match="there is none of that name"):
            scheduler.handle(Edit("j", definition), ACCEPTED_AT)
    with pytest.raises(Refused, match="there is none of that name"):
        scheduler.handle(Create("k", definition), ACCEPTED_AT)


WRONG: list[object] = [
    *(f"{MARK}\0", f"{MARK}\ud800", [MARK], {MARK: MARK}, f"{MARK}" * 2_000, {"A": {"B": MARK}}),
    {"A": f"{MARK}\0"},
    {"A": MARK * 2_000},
    {f"{MARK}=": "x"},
    {MARK: MARK},
    {"A": [MARK]},
    {"A": f"{MARK}\ud800"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_no_refusal_quotes_a_secret(wrong: object) -> None:
    """K1: also where it stands in a wrong place, or the body can't be read for another reason."""
    whole = json.dumps({"name": "a", "command": "true", "secrets": wrong})
    broken = whole[:-2] + "}}"
    for body in (whole, f"[{whole}", broken, whole.replace("{", "", 1), json.dumps(whole)):
        with pytest.raises(Refused) as caught:
            check(bodies.decode_job(body.encode(), default_owner=""), ACCEPTED_AT)
        assert MARK not in str(caught.value)
        with pytest.raises(Refused) as caught:
            bodies.decode_jobs(body.encode(), default_owner="", most=1, new_id=lambda: "j")
        assert MARK not in str(caught.value)


def attempt(definition: Definition) -> StartAttempt:
    """Return the first attempt of a job's run."""
    trigger = Trigger(Cause.MANUAL, ACCEPTED_AT)
    return StartAttempt(Run("j.1", "j", definition.name, 1, trigger, ACCEPTED_AT), 1, definition)


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=20))
@example("a b/?#&")
@example("x\ny")
def test_a_request_is_filled_in_with_a_secret_or_not_sent_and_says_nothing_of_it(
    text: str,
) -> None:
    """K4: in a URL it is percent-encoded; where it fits in no header the refusal has no word."""
    remote = Remote(
        "http://a/<% secrets.A %>",
        headers=(("Authorization", ("Bearer <% secrets.A %>x",)),),
        body="<% secrets.A %>",
    )
    definition = Definition("a", "", remote_properties=remote, template_delimiters="<% %>")
    definition = accepted(keeping(definition, {"A": text}, {}), ACCEPTED_AT)
    try:
        filled = filled_in(attempt(definition)).definition.remote_properties
    except Refused as error:
        said: Refused | None = error
    else:
        said = None
        assert filled
        assert (filled.body, filled.headers[0][1]) == (text, (f"Bearer {text}x",))
        assert set("?#& /").isdisjoint(filled.url.removeprefix("http://a/"))
    if said:
        assert not text.isprintable()
        assert said.problem == "can't be sent as it is with what the job's secrets hold"
        assert said.found == ["A"]


@pytest.mark.parametrize(
    ("definition", "key"),
    [
        (Definition("a", "echo <% secrets.A %>"), "command"),
        (Definition("a", "", remote_properties=Remote("http://<% secrets.A %>/")), "…url"),
        (Definition("a", "", remote_properties=Remote("http://a/<% secrets.B %>")), "…url"),
        (
            Definition("a", "true", reporting=Reporting(notify_webhook="secrets.B")),
            "notify_webhook",
        ),
        (Definition("a", "true", reporting=Reporting(ping_url="secrets.A")), "secrets"),
    ],
)
def test_a_secret_stands_only_where_it_is_one_and_is_shown_to_nobody(
    definition: Definition, key: str
) -> None:
    """K4: not on a command line, nor in a host, nor where a URL is wanted and it is none."""
    kept = replace(keeping(definition, {"A": MARK}, {}), template_delimiters="<% %>")
    with pytest.raises(Refused) as caught:
        accepted(kept, ACCEPTED_AT)
    assert caught.value.field == key.replace("…", "remote_properties.")
    assert MARK not in str(caught.value)


pieces = st.lists(st.binary(max_size=6) | st.sampled_from([b"abc", b"abcd", b"ab", b"d"]))
masked = st.text("abcd\n%", min_size=1, max_size=12) | st.text(ordinary, max_size=12)


def through(mask: Mask, written: list[bytes]) -> bytes:
    """Return what is left of what comes in pieces."""
    masking = Masking(mask)
    return b"".join([*map(masking.next, written), masking.end()])


@given(st.lists(masked, max_size=3), st.lists(masked), pieces, st.data())
def test_what_is_written_holds_no_secret_however_it_is_cut(
    texts: list[str], said: list[str], noise: list[bytes], data: st.DataObject
) -> None:
    """K5: and what is no secret is left as it was, whatever waited for the next piece."""
    mask = Mask.of_texts(texts)
    whole = b"".join([*noise, *(each.encode() for each in [*said, *texts]), *noise])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    cut = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    left = through(mask, cut)
    assert left == mask.whole(whole)
    lines = [line.strip().encode() for text in texts for line in text.splitlines()]
    for line in lines:
        if len(line) >= SHORTEST and b"*" not in line:
            assert line not in left
    if not any(pattern in whole for pattern in mask.patterns):
        assert left == whole


@given(st.integers(SHORTEST, 600), st.booleans())
def test_of_a_long_secret_nothing_is_left(length: int, is_in_url: bool) -> None:
    """K5: longer ones are looked for in pieces; also as a URL has them."""
    secret = "".join(chr(33 + each * each % 89) for each in range(length))
    written = quote(secret, safe="") if is_in_url else secret
    left = through(Mask.of_texts([secret]), [bytes([each]) for each in f"({written})".encode()])
    assert left.replace(MASK, b"") == b"()"
