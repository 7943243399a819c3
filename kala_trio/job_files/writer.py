"""Jobs to the text of a job file: what is as usual is left out, so that people can read it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from msgspec import Struct

from kala_trio import bodies
from kala_trio.core.definition import KEYS, Definition, Remote
from kala_trio.core.errors import Refused
from kala_trio.job_files.plan import Keys, values_of

_USUAL = values_of(Definition("", ""))
_REMOTE = dict(zip(Remote.__struct_fields__, (None, *Remote.__struct_defaults__), strict=True))


class Draft(Struct, frozen=True):
    """Jobs for a file by their names, with their keys as they stand there.

    ``remarks`` say what is not among them, or not as it was, and why.
    """

    jobs: Mapping[str, Keys]
    remarks: tuple[str, ...] = ()


def draft_of(jobs: Iterable[Keys]) -> Draft:
    """Return what stands in a file for jobs as the API shows them, in their order.

    A job that is not among them is named by its id.

    Raises:
        Refused: two of them have one name.
    """
    jobs = tuple(jobs)
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    for job in jobs:
        name = job["name"]
        if name in ids:
            problem = f"two jobs have this name, {ids[name]} and {job['id']}, and a file has one"
            example = "kala-trio job edit ID --name, or one file for each --file-set"
            raise Refused("name", problem, found=name, example=example)
        ids[name], names[job["id"]] = job["id"], name
    return Draft({job["name"]: unusual_keys(job, names) for job in jobs})


def unusual_keys(job: Keys, names: Mapping[str, str]) -> Keys:
    """Return the keys of a job that a file must say; ``names`` are those of other jobs by id."""
    values = values_of(bodies.definition_of(job))
    keys: Keys = {}
    for key in KEYS:
        value = job.get(key)
        if key == "name" or values[key] == _USUAL[key] or not value:
            continue
        match key:
            case "parent_jobs":
                keys["parents"] = [names.get(each, each) for each in value]
            case "on_failure_job":
                keys[key] = names.get(value, value)
            case "remote_properties":
                told = value.items()
                keys[key] = {name: each for name, each in told if each and each != _REMOTE[name]}
            case _:
                keys[key] = value
    return keys


def written(draft: Draft) -> str:
    """Return the text of a job file; the remarks stand before it as comments."""
    lines = [f"# {line}" for remark in draft.remarks for line in remark.splitlines()]
    text = yaml.dump(
        {"jobs": dict(draft.jobs)},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1_000_000,
    )
    apart = re.sub(r"\n  (?=[^ \n])", "\n\n  ", text).replace("jobs:\n\n", "jobs:\n", 1)
    return "\n".join([*lines, *([""] if lines else []), apart])


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and each value where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never name a value to refer to it again."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists, too."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # What no editor shows must be escaped; and some of it ends lines by YAML's older version.
    is_readable = text.replace("\n", "").replace("\t", "").isprintable()
    style = ("|" if "\n" in text else None) if is_readable else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
