"""Kill a daemon again and again under load, and judge what is left.

    python -m torture [--kills 200] [--seconds 600] [--seed 1]

The seed stands in the first line. What is drawn follows from it, but not what the machine makes of
it: the same seed does not kill the daemon in the same places again. Where a claim does not hold,
the offending records are printed, and the directory is kept.
"""

import random
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

from torture.judge import broken_claims
from torture.killing import Plan, Torture
from torture.ledgers import Killed, Ledgers

_SHOWN = 10


@click.command()
@click.option("--kills", default=200, help="How often the daemon is killed.")
@click.option("--seconds", default=600.0, help="In about how much time.")
@click.option("--seed", type=int, help="What is drawn follows from it; any, if not given.")
def main(kills: int, seconds: float, seed: int | None) -> None:
    """Kill a daemon again and again under load, and judge what is left."""
    plan = Plan(random.randrange(10**6) if seed is None else seed, kills, seconds)
    print(f"seed {plan.seed}, {kills} kills in about {seconds:g} s", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"directory {directory}", flush=True)
    torture = Torture(plan, directory)
    ledgers = torture.run()
    print(figures(ledgers, torture.restarts))
    if broken := broken_claims(ledgers):
        for claim, records in broken.items():
            print(f"\nbroken: {claim}\n{len(records)} records, the first of them:")
            print("\n".join(f"    {record}" for record in records[:_SHOWN]))
        print(f"\nseed {plan.seed}; all of it is in {directory}")
        sys.exit(1)
    shutil.rmtree(directory)


def figures(ledgers: Ledgers, restarts: list[float]) -> str:
    """Tell how much happened."""
    store = ledgers.store
    done = Counter(str(ask.what) for ask in ledgers.asks if ask.is_done)
    unanswered = sum(ask.may_be_done and not ask.is_done for ask in ledgers.asks)
    outcomes = Counter(str(run.outcome) for run in store.runs)
    causes = Counter(run.trigger.cause for run in store.runs)
    missed: Counter[str] = Counter()
    for each in store.missed:
        missed[each.reason] += each.count
    rows = {
        "kills": sum(isinstance(mark, Killed) for mark in ledgers.marks),
        "acknowledged": _counts(done),
        "without an answer": unanswered,
        "runs": f"{len(store.runs)}: {_counts(outcomes)}; by {_counts(causes)}",
        "attempts": len(store.attempts),
        "missed": f"{missed.total()}: {_counts(missed)}",
        "first answer after": f"p50 {statistics.median(restarts):.2f} s, max {max(restarts):.2f} s",
    }
    return "\n".join(f"{name:18} {value}" for name, value in rows.items())


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


if __name__ == "__main__":
    main()
