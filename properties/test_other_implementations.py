"""The properties judge any scheduler: in a second one they find what is known to be wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from properties.conftest import JUDGING
from properties.dateutil_schedules import KNOWN_FAILURES


@pytest.mark.thorough
def test_the_second_implementation_fails_what_it_is_known_to_fail() -> None:
    """S1 to S9, L1 to L9: each failure is on the list, and most on the list are found each time.

    Which of them a few examples find is Hypothesis' affair.
    """
    here = Path(__file__).parent
    found = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *(f"{here / name}.py" for name in sorted(JUDGING))),
            *("--implementation", "properties.dateutil_schedules:Dateutil"),
            *("--hypothesis-profile", "judge", "-q", "-p", "no:cacheprovider"),
        ],
        cwd=here.parent,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    failed = set(re.findall(r"^FAILED \S+::(\w+)", found, re.MULTILINE))
    assert failed <= KNOWN_FAILURES.keys(), found
    assert len(failed) > 0.75 * len(KNOWN_FAILURES), found
