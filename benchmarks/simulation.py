"""How long a month of a thousand jobs takes to simulate, and how much memory.

    python -m benchmarks.simulation

Half of the jobs have cron expressions in a zone whose clock is set, half ISO 8601 schedules; each
tenth is a child. The command is measured as a whole, the reading of its file included.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import json

JOBS = 1_000
MONTH = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-04-01T00:00:00Z")


def main() -> None:
    """Measure two loads, and print a line for each."""
    print("| jobs run | runs | lines told | processor | memory |")
    print("|---|---|---|---|---|")
    for name, hours in (("once a day", 24), ("every 3 hours", 3)):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "jobs.json"
            file.write_bytes(json.encode({"jobs": dict(map(job, range(JOBS), [hours] * JOBS))}))
            runs, lines, seconds, megabytes = simulated(file)
        print(f"| {name} | {runs:,} | {lines:,} | {seconds:.1f} s | {megabytes:.0f} MB |")


def job(number: int, hours: int) -> tuple[str, dict[str, object]]:
    """Return a job that runs each so many hours, by its name."""
    minute, hour = number % 60, number % 24
    if number % 10 == 9:
        return f"job {number}", {"command": "true", "parents": [f"job {number - 1}"]}
    if number % 2:
        first = f"2026-03-01T{hour % hours:02}:{minute:02}:00Z"
        return f"job {number}", {"command": "true", "schedule": f"R/{first}/PT{hours}H"}
    when = f"{minute} {hour} * * *" if hours == 24 else f"{minute} */{hours} * * *"
    return f"job {number}", {"command": "true", "cron": when, "time_zone": "Europe/Berlin"}


def simulated(file: Path) -> tuple[int, int, float, float]:
    """Return runs, lines, seconds of processor time and megabytes."""
    command = [sys.executable, "-m", "kala_trio", "simulate", str(file), "--json", *MONTH]
    runs = lines = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for line in process.stdout:
            lines += 1
            runs += line.startswith(b'{"what":"ended"')
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return runs, lines, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
