"""What job files say, and what is said about those that can't be taken."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kala_trio.core.definition import KEYS, Definition
from kala_trio.core.errors import Refused
from kala_trio.job_files.document import Mistakes
from kala_trio.job_files.reader import FileJob, read_jobs

AT = datetime(2030, 1, 1, tzinfo=UTC)


def read(folder: Path, **texts: str) -> dict[str, FileJob]:
    """Return the jobs of files with these texts, by their names."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return {job.name: job for job in read_jobs([folder], AT)}


def definition(folder: Path, text: str) -> Definition:
    """Return the one job of a file."""
    (job,) = read(folder, jobs=text).values()
    return job.definition


def mistakes(folder: Path, **texts: str) -> list[str]:
    """Return what is wrong with files, without the folder's name."""
    with pytest.raises(Mistakes) as caught:
        read(folder, **texts)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_where_a_text_is_wanted_a_plain_word_stands_for_itself(tmp_path: Path) -> None:
    env = {"A": "no", "B": "09:00", "C": "1e3", "D": "2026-01-01", "E": "0x10", "F": "true"}
    lines = "".join(f"      {name}: {text}\n" for name, text in env.items())
    text = f"jobs:\n  on:\n    command: true\n    umask: 027\n    tags: [1, yes]\n    env:\n{lines}"
    job = definition(tmp_path, text)
    assert (job.name, job.command, job.tags) == ("on", "true", ("1", "yes"))
    assert job.execution.umask == "027"
    assert dict(job.execution.env) == env


def test_where_none_is_wanted_only_json_words_have_a_meaning(tmp_path: Path) -> None:
    text = "jobs: {a: {command: x, retries: 3, retry_backoff: 1e3, retry_exit_codes: [7], %s}}"
    job = definition(tmp_path, text % "shell: true, schedule: null, retry_jitter: .5")
    assert (job.retries, job.execution.shell, job.schedule) == (3, True, "")
    assert (job.retrying.retry_backoff, job.retrying.retry_jitter) == (1000.0, 0.5)
    for word in ("yes", "on", "1", '"true"'):
        (said,) = mistakes(tmp_path, jobs=text % f"shell: {word}")
        assert said.startswith("jobs.yaml:1: shell: must be true or false, found ")
    (said,) = mistakes(tmp_path, jobs="jobs: {a: {command: x, retries: '3'}}")
    assert said == "jobs.yaml:1: retries: must be a whole number, found '3'; for example 3"


def test_json_is_read_as_it_is_even_with_tabs(tmp_path: Path) -> None:
    text = '{\n\t"jobs": {"a\\ud83d\\ude00": {"command": "x \\/", "parent_jobs": null, "type": 0}}}'
    (tmp_path / "jobs.json").write_text(text)
    (job,) = read_jobs([tmp_path / "jobs.json"], AT)
    assert (job.name, job.definition.command) == ("a😀", "x /")


def test_files_of_a_folder_are_one_and_may_name_each_others_jobs(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / ".hidden.yaml").write_text("not read: at all")
    (tmp_path / "deeper" / "c.yml").write_text("jobs: {c: {command: x, on_failure_job: a}}")
    job_id = "93b65499-b211-49ce-57e0-19e735cc5abd"
    jobs = read(
        tmp_path,
        one=f"jobs: {{b: {{command: x, parents: [a, c, a, {job_id}]}}}}",
        two="jobs: {a: {command: x}}",
    )
    assert [*jobs] == ["c", "b", "a"]
    assert jobs["b"].definition.parent_jobs == ("a", "c", job_id)
    assert jobs["c"].definition.on_failure_job == "a"


def test_defaults_are_those_of_their_file_and_what_a_job_says_wins(tmp_path: Path) -> None:
    defaults = "defaults: {retries: 3, owner: ops, tags: [x]}"
    jobs = read(
        tmp_path,
        one=f"{defaults}\njobs: {{a: {{command: x, retries: 0, tags: [y]}}, b: {{command: x}}}}",
        two="jobs: {c: {command: x}}",
    )
    shown = {name: (job.definition.retries, job.definition.tags) for name, job in jobs.items()}
    assert shown == {"a": (0, ("y",)), "b": (3, ("x",)), "c": (0, ())}
    assert jobs["b"].keys == {"retries": 3, "owner": "ops", "tags": ["x"], "command": "x"}


def test_a_job_with_a_request_need_not_say_that_it_is_remote(tmp_path: Path) -> None:
    text = "jobs: {a: {remote_properties: {url: 'http://x/', body: no, timeout: 1.5}}}"
    remote = definition(tmp_path, text).remote_properties
    assert remote
    assert (remote.url, remote.body, remote.timeout) == ("http://x/", "no", 1.5)


def test_all_that_is_wrong_is_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    said = mistakes(
        tmp_path,
        one="defaults:\n  retries: x\njobs:\n  a:\n    command: x\n  b:\n    command: x\n"
        "    retries: 1\n    shedule: y\n    remote_properties:\n      url: z\n",
        two="jobs:\n  c:\n    command: x\n    parents:\n    - a\n    - bb\n  a: {command: x}\n",
        three="jobs:\n  d:\n    schedule: R2//P1D\n  e:\n    remote_properties:\n      url: z\n",
    )
    assert [each.partition(", found")[0] for each in said] == [
        "one.yaml:2: retries: must be a whole number",
        "one.yaml:9: shedule: a job has no such field",
        "three.yaml:2: command: is missing",
        "three.yaml:6: remote_properties.url: must begin with http:// or https:// and a host",
        "two.yaml:4: parent_jobs: no job in these files has that name, and an id looks otherwise",
    ]


def test_a_name_may_be_given_once_in_all_files(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, one="jobs: {a: {command: x}}", two="jobs:\n  a: {command: x}")
    assert said.startswith("two.yaml:2: a: another job has this name, ")
    assert said.endswith("one.yaml:1")


def test_a_circle_is_told_with_all_its_jobs(tmp_path: Path) -> None:
    text = "jobs:\n  a: {command: x}\n  b: {command: x, parents: [a]}\n"
    (said,) = mistakes(tmp_path, one=f"{text}  c: {{command: x, parents: [c]}}")
    assert "one.yaml:4: parent_jobs: these jobs lead back to the first of them" in said
    assert "found 'c → c'" in said
    (said,) = mistakes(
        tmp_path,
        one="jobs:\n  a: {command: x, parents: [b], on_failure_job: c}\n"
        "  b: {command: x, parents: [c]}\n  c: {command: x}\n",
    )
    assert said.count("→") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: is empty; for example jobs: {hello: {command: echo hello}}"),
        ("# a comment\n", "1: is empty; for example jobs: {hello: {command: echo hello}}"),
        ("jobs:\n\ta: b", "2: can't be read: a tab stands where YAML wants blanks"),
        ("jobs:\n  a: &x {command: y}\n  b: *x", "2: can't be read: anchors and aliases"),
        ("jobs:\n  b: *x", "2: can't be read: anchors and aliases"),
        ("jobs:\n  a: {command: x}\n  a: {command: x}", "3: a: is given twice, first in line 2"),
        ("jobs: {a: {command: x}}\n---\njobs: {}", "2: can't be read: expected a single document"),
        ("jobs:\n  a: {command: !!binary eHg=}", "2: tags such as 'tag:yaml.org,2002:binary' are"),
        ("\njobs:\n  a: {command: \0}", "3: a file must not have the character '\\x00'"),
        ("jobs: " + "[" * 5000, "1: is nested too deeply"),
        ("- command: x", "1: a file must have jobs by name; for example jobs: {hello: "),
        ("job: {}\njobs: {}", "1: job: a file has jobs: and defaults: alone; for example jobs: "),
        ("jobs: {a: }", "1: a: must have names with values; for example jobs: {hello: "),
        ("jobs: {a: {name: b, command: x}}", "1: name: a job has no such field, found 'name'"),
        ("jobs: {a: {command: x, id: y}}", "1: id: a job has no such field, found 'id'"),
        ("jobs:\n  '': {command: x}", "2: name: a job needs a name, found ''"),
        ("jobs: {a: {[x]: y}}", "1: a name must be a text"),
        ("jobs: {a: {command: x, parents: b}}", "1: parent_jobs: must be a list of the names"),
        (
            "jobs: {a: {command: x, parents: [], parent_jobs: []}}",
            "1: parent_jobs: is another name",
        ),
        ("jobs: {a: {command: x, schedule: x}}", "1: schedule: "),
        ("jobs: {a: {command: x, retries: 1" + "0" * 400 + "}}", "1: retries: must be a whole"),
    ],
)
def test_what_is_no_job_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (found,) = mistakes(tmp_path, jobs=text)
    assert found.startswith(f"jobs.yaml:{said}")


def test_a_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_bytes(b"jobs:\n  a: {command: \xff}")
    with pytest.raises(Mistakes, match=r"jobs\.yaml:2: is not UTF-8"):
        read_jobs([tmp_path / "jobs.yaml"], AT)


def test_a_path_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no file in this folder ends in \.yaml, \.yml, \.json"):
        read_jobs([tmp_path], AT)
    with pytest.raises(Refused, match=r"can't be read \(No such file or directory\)"):
        read_jobs([tmp_path / "none.yaml"], AT)


def test_every_key_of_a_job_can_stand_in_a_file(tmp_path: Path) -> None:
    lines = "".join(f"    {key}:\n" for key in KEYS if key not in ("name", "command"))
    refused = {"disabled", "retries", "resume_at_next_scheduled_time", "rerun_lost", "shell"}
    said = mistakes(tmp_path, jobs=f"jobs:\n  a:\n    command: x\n{lines}")
    assert "no such field" not in "".join(said)
    assert len(said) == 1
    assert said[0].split(": ")[1] in refused
