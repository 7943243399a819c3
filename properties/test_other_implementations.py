"""The properties judge any scheduler: in a second one they find what is known to be wrong."""

import re
import subprocess
import sys
from pathlib import Path

from properties.dateutil_schedules import KNOWN_FAILURES

HERE = Path(__file__).parent
JUDGED = ("test_schedule.py", "test_schedule_text.py", "test_oracles.py", "test_vectors.py")


def test_the_second_implementation_fails_what_it_is_known_to_fail() -> None:
    """S1 to S8: each failure is on the list, and each on the list is a failure."""
    found = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *JUDGED, "-q", "-p", "no:cacheprovider"),
            *("--implementation", "properties.dateutil_schedules:Dateutil"),
            *("--hypothesis-profile", "judge"),
        ],
        cwd=HERE,
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    failed = re.findall(r"^FAILED \S+::(\w+)", found, re.MULTILINE)
    assert sorted(failed) == sorted(KNOWN_FAILURES), found
