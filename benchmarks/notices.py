"""Whether runs are late because of what is told of others, while nobody takes what is told.

    python -m benchmarks.notices

A thousand jobs fail at one instant, every four seconds, beside one that is due twice a second:
first with nobody to be told, then with a webhook and a monitor each, which are not there.
"""

import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kala_trio.bench.service import Service, running

JOBS = 1_000
ROUNDS = 6
PERIOD = 4
_NOBODY = "http://127.0.0.1:1"
TOLD = {"notify_webhook": _NOBODY, "notify_every_time": True, "ping_url": _NOBODY}


def main() -> None:
    """Measure twice, and print a line for each."""
    print("| told | late p50 | p90 | processor | memory |")
    print("|---|---|---|---|---|")
    for name, keys in (("nobody", {}), ("webhook and ping", TOLD)):
        with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "k.db") as it:
            late = sorted(lateness(it, keys))
            p90 = late[len(late) * 9 // 10]
            print(
                f"| {name} | {statistics.median(late):.1f} ms | {p90:.1f} ms "
                f"| {it.cpu():.1f} s | {it.memory():.0f} MB |"
            )


def lateness(service: Service, keys: dict[str, object]) -> list[float]:
    """Return by how many milliseconds the runs of the job in between were late."""
    start = datetime.now(UTC) + timedelta(seconds=10)
    first = start.isoformat(timespec="seconds").replace("+00:00", "Z")
    fails = {"command": "false", "schedule": f"R{ROUNDS - 1}/{first}/PT{PERIOD}S", **keys}
    for part in range(JOBS // 500):
        several = [{"name": f"{part} {number}", **fails} for number in range(500)]
        service.request("POST", "/job/bulk/", json.dumps(several).encode())
    count = 2 * ROUNDS * PERIOD
    probe = {"name": "probe", "command": "true", "schedule": f"R{count - 1}/{first}/PT0.5S"}
    _, answer = service.request("POST", "/job/", json.dumps(probe).encode())
    job = json.loads(answer)["id"]
    while not service.get(f"/job/{job}/")["job"]["is_done"]:
        time.sleep(0.2)
    return [
        (_instant(run["started_at"]) - _instant(run["trigger"]["scheduled_at"])) * 1000
        for run in service.get(f"/job/runs/{job}/")["runs"]
        if run["outcome"] != "missed"
    ]


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
