"""Templates: what they come to, what they may hold, and that no value breaks out of its place."""

import shlex
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from kala_trio.core.definition import Definition, Execution, Remote
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Run, Trigger
from kala_trio.core.messages import StartAttempt
from kala_trio.templates import NAMES, accepted, filled_in

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
_ORDINARY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(_ORDINARY, min_size=1, max_size=20)


def filled(definition: Definition) -> Definition:
    """Return what the second attempt of a run of this job is to do."""
    trigger = Trigger(Cause.PARENT, NOW, source="p.7")
    run = Run("j.3", "j", definition.name, 3, trigger, NOW)
    return filled_in(StartAttempt(run, 2, definition)).definition


def command(template: str, **more: str) -> str:
    """Return what becomes of a command."""
    definition = Definition("it's", template, owner="ada", template_delimiters="{{ }}")
    return filled(accepted(replace(definition, **more), NOW)).command


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("echo {{ job.id }} {{run_id}}", "echo j j.3"),
        ("echo {{ job.name }}", "echo 'it'\"'\"'s'"),
        ("echo {{job.owner}}-{{attempt}}", "echo ada-2"),
        ("echo {{ scheduled_at }}", "echo 2026-03-01T23:30:00Z"),
        ("echo '{{ scheduled_at | date(\"%Y-%m-%d\") }}'", "echo 2026-03-01"),
        ("echo {{ cause }} {{ source_run_id }}", "echo parent p.7"),
        ("echo { {% if %} {# }", "echo '{' '{%' if '%}' '{#' '}'"),
    ],
)
def test_each_name_comes_to_its_value(template: str, expected: str) -> None:
    """E7."""
    assert shlex.split(command(template)) == shlex.split(expected)


def test_a_date_is_that_of_the_jobs_zone() -> None:
    """E7: where it is the next day already."""
    template = "echo '{{ scheduled_at | date(\"%Y-%m-%d\") }}'"
    assert command(template, time_zone="Europe/Berlin") == "echo 2026-03-02"


def test_without_delimiters_a_command_is_as_it_is_written() -> None:
    """E7."""
    definition = Definition("a", "echo '{{ job.name }}'")
    assert filled(accepted(definition, NOW)) == definition


@given(names)
@example("a b; rm -rf $(pwd) `id` \"'")
@example("{{ attempt }}")
def test_no_value_makes_more_than_the_word_that_it_stands_in(name: str) -> None:
    """E8: neither of words nor of a URL; and it is not filled in again."""
    words = Definition(name, "echo x{{ job.name }}y", template_delimiters="{{ }}")
    assert shlex.split(filled(words).command) == ["echo", f"x{name}y"]
    remote = Remote("http://a/{{ job.name }}?b={{ attempt }}", body="{{ job.name }}")
    request = filled(replace(words, command="", remote_properties=remote)).remote_properties
    assert request
    assert request.body == name
    assert set("/?#& ").isdisjoint(request.url.removeprefix("http://a/").removesuffix("?b=2"))


@pytest.mark.parametrize(
    "blank",
    [
        *("job", "jobs.name", "job.password", "job.__class__", "''.__class__", "job['name']"),
        *("'a' * 10**9", "range(9)", "attempt + 1", "cycler()", "self", "attempt if 1 else 2"),
        *("job.name | upper", "job.name | date('%Y')", "scheduled_at | date('%1000000000d')"),
        *("scheduled_at | date(job.name)", "scheduled_at | date('%Y', 1)", "", "a b", "(" * 5000),
        *("[1, 2]", "{'a': 1}", "scheduled_at.at", "job.name.upper()", "namespace()"),
        *("1" * 5000, "scheduled_at | date('%Y', x=1)", "scheduled_at | date('日')"),
        "job.id }}" + "{{ job.id }}" * 101 + "{{ job.id",
    ],
)
def test_anything_but_a_name_or_a_date_is_refused_when_the_job_is_created(blank: str) -> None:
    """E9: none of it is ever carried out."""
    remote = Remote("http://a", body=f"{{{{ {blank} }}}}")
    definition = Definition("a", "", template_delimiters="{{ }}", remote_properties=remote)
    with pytest.raises(Refused) as refusal:
        accepted(definition, NOW)
    assert refusal.value.field == "remote_properties.body"


@given(st.text(_ORDINARY, max_size=30) | st.text("{}<>%#|.() '\"jobname_", max_size=30))
def test_any_text_is_a_template_or_is_refused_as_none(text: str) -> None:
    """E9: and what was accepted can be filled in; without a blank it stays as it is."""
    remote = Remote("http://a", body=f"x{text}")
    definition = Definition("a", "", template_delimiters="{{ }}", remote_properties=remote)
    try:
        kept = accepted(definition, NOW)
    except Refused:
        assert "{{" in text or "\0" in text
    else:
        assert kept == definition
        if "{{" not in text:
            assert filled(kept).remote_properties == remote


def test_a_line_of_shell_is_no_template() -> None:
    """E8: within quotes of the line a quoted value would be run."""
    definition = Definition(
        "a", "echo '{{ job.owner }}'", template_delimiters="{{ }}", execution=Execution(shell=True)
    )
    with pytest.raises(Refused) as refusal:
        accepted(definition, NOW)
    assert refusal.value.field == "template_delimiters"


@pytest.mark.parametrize("signs", ["\0 {", "{{", "{{ {{", "a b", "' '", "{{ }} x", "« »", "\\ /"])
def test_delimiters_that_are_no_two_different_signs_are_refused(signs: str) -> None:
    """E7: what a text can't hold would let all of it pass for text."""
    with pytest.raises(Refused) as refusal:
        accepted(Definition("a", "true", template_delimiters=signs), NOW)
    assert refusal.value.field == "template_delimiters"


def test_the_names_that_there_are_are_all_that_a_refusal_offers() -> None:
    """E9."""
    with pytest.raises(Refused) as refusal:
        command("echo {{ nobody }}")
    assert all(name in refusal.value.problem for name in NAMES)
