"""What a user might take instead, each behind the same few words, in a process of its own.

    python -m benchmarks.contenders NAME STORE PLAN

The plan is JSON: what to add, and whether to serve then. It says "added N" after each job that it
was told is added, and "serving" when the scheduler has been started.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import msgspec
from msgspec import Struct

THREADS = 64


class Work(Struct, frozen=True):
    """A command due at ``first``, in seconds since 1970, and then ``every`` so many, unless 0."""

    command: list[str]
    first: float
    every: float = 0.0


class Plan(Struct, frozen=True):
    """What a process does: add ``count`` times the work, say what the store has, then serve."""

    work: Work | None = None
    count: int = 0
    serve: bool = True


def run_command(command: list[str]) -> None:
    """Do what each of the jobs does."""
    subprocess.run(command, check=True)


def apscheduler_3(store: str, plan: Plan) -> None:
    """APScheduler 3: jobs in SQLite through SQLAlchemy, run by threads."""
    from apscheduler.executors.pool import ThreadPoolExecutor  # noqa: PLC0415
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore  # noqa: PLC0415
    from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415

    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{store}")},
        executors={"default": ThreadPoolExecutor(THREADS)},
        job_defaults={"misfire_grace_time": None, "max_instances": 1},
        timezone=UTC,
    )
    scheduler.start(paused=True)
    say(f"has {len(scheduler.get_jobs())}")
    for number, work in works(plan):
        first = datetime.fromtimestamp(work.first, UTC)
        how: dict[str, Any] = {"trigger": "date", "run_date": first}
        if work.every:
            how = {"trigger": "interval", "seconds": work.every, "start_date": first}
        scheduler.add_job("benchmarks.contenders:run_command", args=[work.command], **how)
        say(f"added {number}")
    if plan.serve:
        scheduler.resume()
        serve_on()


def apscheduler_4(store: str, plan: Plan) -> None:
    """APScheduler 4, not yet released: schedules and jobs in SQLite through SQLAlchemy."""
    from apscheduler import Scheduler, SchedulerRole  # noqa: PLC0415
    from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore  # noqa: PLC0415
    from apscheduler.triggers.date import DateTrigger  # noqa: PLC0415
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415

    engine = create_engine(f"sqlite:///{store}", connect_args={"timeout": 60})
    with Scheduler(
        SQLAlchemyDataStore(engine), role=SchedulerRole.both, max_concurrent_jobs=THREADS
    ) as scheduler:
        # By its module's own name, which is another one here.
        function = import_module("benchmarks.contenders").run_command
        scheduler.configure_task("command", func=function, max_running_jobs=None)
        say(f"has {len(scheduler.get_schedules())}")
        for number, work in works(plan):
            first = datetime.fromtimestamp(work.first, UTC)
            trigger: Any = DateTrigger(first)
            if work.every:
                trigger = IntervalTrigger(seconds=work.every, start_time=first)
            scheduler.add_schedule("command", trigger, args=[work.command])
            say(f"added {number}")
        if plan.serve:
            scheduler.start_in_background()
            serve_on()


def huey(store: str, plan: Plan) -> None:
    """Huey: tasks with an eta in SQLite, run by threads; it looks once a second."""
    from huey import SqliteHuey  # noqa: PLC0415

    queue = SqliteHuey(filename=store, fsync=True)
    task = queue.task()(run_command)
    say(f"has {len(queue.scheduled()) + len(queue.pending())}")
    for number, work in works(plan):
        if work.every:
            sys.exit("huey: nothing is due more often than once a minute")
        task.schedule(args=(work.command,), eta=datetime.fromtimestamp(work.first))
        say(f"added {number}")
    if plan.serve:
        consumer = queue.create_consumer(workers=THREADS, scheduler_interval=1)
        consumer.start()
        serve_on()


CONTENDERS: dict[str, Callable[[str, Plan], None]] = {
    "apscheduler-3": apscheduler_3,
    "apscheduler-4": apscheduler_4,
    "huey": huey,
}


def works(plan: Plan) -> Iterator[tuple[int, Work]]:
    for number in range(1, plan.count + 1):
        if plan.work:
            yield number, plan.work


def serve_on() -> None:
    say("serving")
    while True:
        time.sleep(3600)


def say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    name, store, plan = sys.argv[1:]
    CONTENDERS[name](store, msgspec.json.decode(plan, type=Plan))
