"""What happens to a daemon over several lives, as one value that follows from one seed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.definition import CatchUp, Definition, Overlap, Policy, Reporting, Retrying
from kala_trio.core.messages import (
    Cancel,
    Create,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Request,
    Start,
)

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)

# No process lives longer, so the last life sees the end of every orphan.
_LONGEST = 45
_SECONDS = (0, 1, 1, 3, 8, 20, _LONGEST)


class Point(StrEnum):
    """Where in its work a daemon may die; each is counted from 1 in each of its lives."""

    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit, before anything is acted on"
    AFTER_SPAWN = "after some of the spawns"
    BEFORE_OUTCOME = "after a process ended, before its outcome is committed"
    AFTER_ANSWER = "after an answer"


class Crash(Struct, frozen=True):
    """Die when ``point`` is reached for the ``count``-th time."""

    point: Point
    count: int


class Fault(Struct, frozen=True):
    """What the store does to ``count`` commits, from the ``first`` one of this life (1, 2, …)."""

    kind: Literal["fail", "slow", "hang"]
    first: int
    count: int = 1
    seconds: int = 0


class Ask(Struct, frozen=True):
    """A client sends ``request``, ``at`` tenths of a second after the daemon's start."""

    at: int
    request: Request


class ClockStep(Struct, frozen=True):
    """Somebody sets the wall clock by ``seconds``, ``at`` seconds after the daemon's start.

    From then on it gains ``drift`` microseconds a second, as where a leap second is smeared.
    """

    at: int
    seconds: int
    drift: int = 0


class Pause(Struct, frozen=True):
    """The daemon stands still for ``seconds``, ``at`` seconds after its start; its jobs do not."""

    at: int
    seconds: int


class Life(Struct, frozen=True):
    """One daemon, from its start to its end, and the pause before the next one.

    After ``lasts`` seconds it is told to stop, or else dies there, unless it died before.
    ``orphans``: the processes of a daemon that dies live on. The wall clock is set by ``clock_set``
    seconds while no daemon runs. ``commit_micros`` is how long a commit takes, at least.
    """

    lasts: int
    stops: bool = False
    grace: int = 0
    asks: tuple[Ask, ...] = ()
    crash: Crash | None = None
    orphans: bool = False
    commit_micros: int = 1
    faults: tuple[Fault, ...] = ()
    clock_steps: tuple[ClockStep, ...] = ()
    pauses: tuple[Pause, ...] = ()
    downtime: int = 0
    clock_set: int = 0


class Behaviour(Struct, frozen=True):
    """What the process of an attempt does: it takes a time, then exits."""

    seconds: int
    code: int


class Script(Struct, frozen=True):
    """All that is going to happen; in the last life nothing goes wrong, and it ends by a stop."""

    seed: int
    behaviours: tuple[Behaviour, ...]
    lives: tuple[Life, ...]


def smaller(script: Script) -> Iterator[Script]:
    """Return the scripts in which one thing less happens."""
    *lives, calm = script.lives
    for place, life in enumerate(lives):
        yield replace(script, lives=(*lives[:place], *lives[place + 1 :], calm))
        for less in _less(life):
            yield replace(script, lives=(*lives[:place], less, *lives[place + 1 :], calm))


def _less(life: Life) -> Iterator[Life]:
    for name in ("asks", "faults", "clock_steps", "pauses"):
        things = getattr(life, name)
        for place in range(len(things)):
            yield replace(life, **{name: things[:place] + things[place + 1 :]})
    calmer = {"crash": None, "orphans": False, "downtime": 0, "clock_set": 0, "commit_micros": 1}
    for name, value in calmer.items():
        if getattr(life, name) != value:
            yield replace(life, **{name: value})


def script_of(seed: int) -> Script:
    """Draw a script: the same one from the same seed."""
    return _Author(seed).write()


_POLICIES = (
    *(Policy(), Policy(), Policy(), Policy(catch_up=CatchUp.ALL, catch_up_limit=3), Policy()),
    *(Policy(overlap=Overlap.SKIP), Policy(), Policy(overlap=Overlap.REPLACE), Policy()),
    *(Policy(overlap=Overlap.ALLOW, max_running=2), Policy(catch_up=CatchUp.NONE)),
)
_TELLING = Reporting("http://a", notify_every_time=True, expect_within="PT9S")


class _Author:
    """Draws the parts of a script, and remembers which jobs it made up so far."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(seed)
        self._job_ids: list[str] = []
        self._elapsed = 0
        self._others = 0

    def write(self) -> Script:
        random = self._random
        behaviours = tuple(
            Behaviour(random.choice(_SECONDS), random.choice((0, 0, 0, 1))) for _ in range(12)
        )
        lives = [self._life() for _ in range(random.randint(1, 4))]
        calm = Life(lasts=2 * _LONGEST + 10, stops=True, grace=2 * _LONGEST)
        return Script(self._seed, behaviours, (*lives, calm))

    def _life(self) -> Life:
        random = self._random
        lasts = random.choice((5, 15, 30, 60, 120))
        life = Life(
            lasts=lasts,
            stops=random.random() < 0.3,
            grace=random.choice((0, 2, 20)),
            asks=tuple(self._asks(lasts)),
            crash=self._crash() if random.random() < 0.6 else None,
            orphans=random.random() < 0.6,
            commit_micros=random.choice((1, 1, 20_000, 700_000)),
            faults=tuple(self._fault() for _ in range(random.choice((0, 0, 1, 2, 3)))),
            clock_steps=tuple(
                ClockStep(random.randint(0, lasts), random.choice((-20, -3, 7, 600)))
                for _ in range(random.choice((0, 0, 0, 0, 1, 2)))
            ),
            downtime=random.choice((0, 1, 5, 30, 90, 600)),
            clock_set=random.choice((0, 0, 0, 0, -3600, -20, 20, 3600)),
        )
        self._elapsed += lasts + life.downtime
        return life

    def _crash(self) -> Crash:
        return Crash(self._random.choice(list(Point)), self._random.choice((1, 2, 3, 5, 8, 13)))

    def _fault(self) -> Fault:
        random = self._random
        kind: Literal["fail", "slow", "hang"] = random.choice(("fail", "fail", "slow", "hang"))
        return Fault(kind, random.randint(1, 20), random.choice((1, 2, 5)), random.choice((1, 4)))

    def _asks(self, lasts: int) -> list[Ask]:
        random = self._random
        # Some come when the daemon is already stopping, or dead, in which case nobody hears them.
        bursts = [random.randint(0, 10 * lasts + 30) for _ in range(random.randint(1, 6))]
        moments = sorted(random.choice(bursts) for _ in range(random.randint(3, 14)))
        requests: list[Request] = []
        while len(requests) < len(moments):
            requests += self._requests()
        return [Ask(at, request) for at, request in zip(moments, requests, strict=False)]

    def _requests(self) -> list[Request]:
        random = self._random
        if not self._job_ids or random.random() < 0.45:
            kinds = (self._single, self._single, self._chain, self._diamond, self._alarm)
            return list(random.choice(kinds)())
        job_id = random.choice(self._job_ids)
        kind = random.choice((Start, Start, Start, Start, Enable, Disable, Delete, DeleteAll))
        if kind is DeleteAll:
            return [DeleteAll() if random.random() < 0.3 else Start(job_id)]
        self._others += 1
        if kind is Start and self._others % 5 == 0:
            return [Cancel(f"{job_id}.{1 + self._others % 3}")]
        return [kind(job_id)]

    def _single(self) -> list[Create]:
        return [self._create(schedule=self._schedule())]

    def _chain(self) -> list[Create]:
        links = [self._create(schedule=self._schedule())]
        for _ in range(self._random.randint(1, 3)):
            links.append(self._create(parents=(links[-1].job_id,)))
        return links

    def _diamond(self) -> list[Create]:
        top = self._create(schedule=self._schedule())
        left, right = (self._create(parents=(top.job_id,)) for _ in range(2))
        return [top, left, right, self._create(parents=(left.job_id, right.job_id))]

    def _alarm(self) -> list[Create]:
        alarm = self._create(schedule="R0/2999-01-01T00:00:00Z/PT1S")
        return [alarm, self._create(schedule=self._schedule(), failure=alarm.job_id)]

    def _create(
        self, *, schedule: str = "", parents: tuple[str, ...] = (), failure: str = ""
    ) -> Create:
        random = self._random
        job_id = f"j{len(self._job_ids) + 1}"
        self._job_ids.append(job_id)
        definition = Definition(
            job_id,
            "true",
            disabled=random.random() < 0.08,
            schedule=schedule,
            parent_jobs=parents,
            on_failure_job=failure,
            retries=random.choice((0, 0, 1, 2)),
            epsilon=random.choice(("", "", "PT2S", "PT30S")),
            resume_at_next_scheduled_time=random.random() < 0.15,
            # Not drawn, so that the seeds which found something before mean the same as then.
            rerun_lost=len(self._job_ids) % 3 == 0,
            policy=_POLICIES[len(self._job_ids) % len(_POLICIES)],
            retrying=Retrying(retry_delay="PT3S" if len(self._job_ids) % 7 == 0 else ""),
            reporting=_TELLING if len(self._job_ids) % 4 == 0 else Reporting(),
        )
        return Create(job_id, definition)

    def _schedule(self) -> str:
        random = self._random
        repeats = random.choice(("R", "R", "R3", "R20"))
        step = random.choice((5, 7, 10, 40))
        # Full minutes and half ones, so that much is due at once.
        start = EPOCH + timedelta(seconds=30 * (self._elapsed // 30 + random.randint(0, 3)))
        return random.choice(
            ("", f"{repeats}//PT{step}S", f"{repeats}/{start.isoformat()}/PT{step}S")
        )
