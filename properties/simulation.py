"""The real supervisor under virtual time, in a world that dies and comes back as a script says.

    python -m properties.simulation 12345

plays the script of seed 12345 and prints what happened and which rules it broke.

Whatever reaches the daemon from outside does so at a microsecond that is its own, even modulo one
second, and all schedules and pauses are whole seconds. So no two inputs ever meet, nor does one
meet an occurrence, and trio's shuffling of ready tasks has nothing to decide (rule C5).
"""

import logging
import sys
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import trio
from trio.testing import MockClock

from kala_trio.core.errors import KalaTrioError, Unavailable
from kala_trio.core.job import Attempt, Cancelled, Cause, Exited, Lost, Stopped
from kala_trio.core.messages import (
    Act,
    AttemptEnded,
    AwaitOrphan,
    Keep,
    Record,
    Request,
    Snapshot,
    StartAttempt,
)
from kala_trio.core.scheduler import Scheduler
from kala_trio.simulation.memory import MemoryStore
from kala_trio.supervisor import Supervisor
from properties.checkers import broken_rules
from properties.clock import VirtualClock
from properties.ledger import (
    Asked,
    ClockSet,
    Commit,
    Death,
    Ledger,
    Opened,
    Process,
    StopAsked,
    trace,
)
from properties.scripts import EPOCH, ClockStep, Life, Point, Script, script_of, smaller

_SECOND = 1_000_000
# Whoever waits for the end of a stopping daemon loses patience, and kills it.
_PATIENCE = 120


class World:
    """What outlives a daemon: the store, the processes, the clock, and the ledger."""

    def __init__(
        self,
        script: Script,
        supervisor: type[Supervisor],
        store: Callable[[], MemoryStore],
        clock_of_trio: MockClock,
    ) -> None:
        """Begin with an empty store; instants are microseconds since then."""
        self.clock_of_trio = clock_of_trio
        self.script = script
        self.supervisor = supervisor
        self.store = store()
        self.clock = VirtualClock(EPOCH)
        self.ledger = Ledger(script)
        self._taken = {0}

    @staticmethod
    def now() -> int:
        """Return the true instant."""
        return round(trio.current_time() * _SECOND)

    def own_instant(self, at: int) -> int:
        """Return the first instant from ``at`` on whose fraction of a second nobody else has."""
        while at % _SECOND in self._taken:
            at += 1
        self._taken.add(at % _SECOND)
        return at

    def mark(self, corner: str) -> None:
        """Note that ``corner`` was reached."""
        marks = self.ledger.marks
        marks[corner] = marks.get(corner, 0) + 1

    def process_of(self, attempt: Attempt) -> Process | None:
        """Return the process of an attempt, if it came to have one."""
        found = (
            each
            for each in reversed(self.ledger.processes)
            if (each.run_id, each.number) == (attempt.run_id, attempt.number)
        )
        return next(found, None)

    async def play(self) -> None:
        """Let all lives pass, one after the other."""
        for number, life in enumerate(self.script.lives, 1):
            await Daemon(self, number, life).live()
            await sleep_until(self.own_instant(self.now() + life.downtime * _SECOND))
            if life.clock_set:
                self.clock.set(life.clock_set)
                self.mark(f"clock set {'back' if life.clock_set < 0 else 'forward'} while down")
        self.ledger.closed = self._opened(len(self.script.lives) + 1, self.store.load())

    def open_store(self, life: int) -> Snapshot:
        """Return what is stored, and note it."""
        snapshot = self.store.load()
        self.ledger.opened.append(self._opened(life, snapshot))
        return snapshot

    def _opened(self, life: int, snapshot: Snapshot) -> Opened:
        return Opened(life, self.now(), self.clock.now(), snapshot)


class Daemon:
    """One life of the daemon: its store, its runner, its clients, and its death."""

    def __init__(self, world: World, number: int, life: Life) -> None:
        """Be life ``number`` of ``world``."""
        self._world = world
        self._number = number
        self._life = life
        self._scope = trio.CancelScope()
        self._is_dead = False
        self._is_over = False  # the grace period
        self._reached: Counter[Point] = Counter()
        self._commits = 0
        self._plans: dict[tuple[str, int], Process] = {}
        self._ends: dict[tuple[str, int], trio.CancelScope] = {}
        self._cut_off: tuple[Attempt, ...] = ()
        self._gone: dict[str, int] = {}
        self._supervisor: Supervisor

    async def live(self) -> None:
        """Serve until stopped, or dead."""
        snapshot = self._world.open_store(self._number)
        self._meet(snapshot)
        try:
            await self._serve(snapshot)
        except* Unavailable:
            self._die("it gave up, because the store failed")
        except* Exception as bug:
            self._world.ledger.bugs.append(_words(bug))
            self._die("of a bug")

    async def _serve(self, snapshot: Snapshot) -> None:
        world, life, began = self._world, self._life, self._world.now()
        scheduler, first = Scheduler.restore(snapshot, world.clock.now())
        self._supervisor = world.supervisor(
            clock=world.clock, commit=self.commit, runner=self, deliver=lambda: None
        )
        with self._scope:
            async with trio.open_nursery() as nursery:
                for ask in life.asks:
                    at = world.own_instant(began + ask.at * _SECOND // 10)
                    nursery.start_soon(self._ask, at, ask.request)
                for step in life.clock_steps:
                    at = world.own_instant(began + step.at * _SECOND)
                    nursery.start_soon(self._set_clock, at, step)
                for pause in life.pauses:
                    at = world.own_instant(began + pause.at * _SECOND)
                    nursery.start_soon(self._pause, at, pause.seconds)
                nursery.start_soon(self._end, world.own_instant(began + life.lasts * _SECOND))
                if all(isinstance(each, Act) for each in first):  # no commit comes before them
                    self._find_orphans()
                await self._supervisor.run(scheduler, first)
                nursery.cancel_scope.cancel()

    # The store

    async def commit(self, records: Sequence[Record]) -> None:
        """Keep the records, after what the script has in store for this commit."""
        world, began = self._world, self._world.now()
        entry = Commit(self._number, began, None, tuple(records))
        world.ledger.commits.append(entry)
        if records:
            self._commits += 1
            # As a thread would, it takes a while: what was answered before is heard before.
            await sleep_until(world.own_instant(began + self._life.commit_micros))
            await self._suffer()
            await self._reach(Point.BEFORE_COMMIT)
            world.store.keep(records)
        entry.kept_at = world.now()
        for record in records:
            match record:
                case Keep(Attempt(result=None) as attempt):
                    self._plan(attempt.run_id, attempt.number)
        self._find_orphans()
        if records:
            await self._reach(Point.AFTER_COMMIT)

    async def _suffer(self) -> None:
        for fault in self._life.faults:
            if fault.first <= self._commits < fault.first + fault.count:
                self._world.mark(f"a commit: {fault.kind}")
                match fault.kind:
                    case "fail":
                        raise Unavailable("the store cannot be written")
                    case "slow":
                        until = self._world.now() + fault.seconds * _SECOND
                        await sleep_until(self._world.own_instant(until))
                    case "hang":
                        await trio.sleep_forever()

    def _plan(self, run_id: str, number: int) -> Process:
        """Say when the process of an attempt starts and ends, if nothing comes between."""
        if (run_id, number) not in self._plans:
            behaviours = self._world.script.behaviours
            drawn = behaviours[zlib.crc32(f"{run_id}/{number}".encode()) % len(behaviours)]
            start = self._world.own_instant(self._world.now() + 1)
            end = self._world.own_instant(start + drawn.seconds * _SECOND)
            plan = Process(self._number, run_id, number, start, end, Exited(drawn.code))
            self._plans[run_id, number] = plan
        return self._plans[run_id, number]

    # The runner

    async def run_attempt(self, act: StartAttempt, ending: trio.CancelScope) -> AttemptEnded:
        """Let the process of an attempt start, and end."""
        process = self._plan(act.run.id, act.number)
        await sleep_until(process.started_at)
        started_at = self._world.clock.now()
        if self._is_over or ending.cancel_called:
            self._world.mark("an attempt came too late to start")
            result = Stopped() if self._is_over else Cancelled()
            return AttemptEnded(act.run.id, act.number, started_at, started_at, result)
        if act.run.trigger.cause is Cause.RERUN:
            self._world.mark("a lost run is run once more")
        self._world.ledger.processes.append(process)
        await self._reach(Point.AFTER_SPAWN)
        deadline = process.ended_at / _SECOND
        with ending, trio.CancelScope(deadline=deadline) as self._ends[act.run.id, act.number]:
            await trio.sleep_forever()
        if ending.cancelled_caught:
            self._world.mark("an attempt was cancelled")
            process.result = Cancelled()
            await self._kill(process)
        await self._reach(Point.BEFORE_OUTCOME)
        ended_at = self._world.clock.now()
        return AttemptEnded(act.run.id, act.number, started_at, ended_at, process.result)

    async def await_orphan(self, act: AwaitOrphan, ending: trio.CancelScope) -> AttemptEnded:
        """Wait for the end of a process of a daemon that died."""
        with ending:
            await sleep_until(self._gone[act.run.id])
        process = self._world.process_of(act.attempt)
        if ending.cancelled_caught and process and process.ended_at > self._world.now():
            self._world.mark("an orphan was cancelled")
            await self._kill(process)
        attempt, now = act.attempt, self._world.clock.now()
        return AttemptEnded(attempt.run_id, attempt.number, attempt.started_at, now, Lost())

    async def _kill(self, process: Process) -> None:
        process.ended_at = self._world.own_instant(self._world.now() + 1)
        await sleep_until(process.ended_at)

    def _meet(self, snapshot: Snapshot) -> None:
        """Look at what an earlier life left behind."""
        self._cut_off = snapshot.attempts
        for attempt in snapshot.attempts:
            process = self._world.process_of(attempt)
            is_alive = process is not None and process.ended_at > self._world.now()
            fate = "lives" if is_alive else "is gone"
            self._world.mark(f"an attempt was cut off, its process {fate}")
        for progress in snapshot.progress:
            if progress.pending:
                self._world.mark("a trigger is pending across a restart")
        if snapshot.queues:
            self._world.mark("a queue across a restart")

    def _find_orphans(self) -> None:
        """Say when it will be seen that the process of an attempt that was cut off is gone."""
        for attempt in self._cut_off:
            process, now = self._world.process_of(attempt), self._world.now()
            is_alive = process is not None and process.ended_at > now
            self._gone[attempt.run_id] = (
                process.ended_at if process and is_alive else self._world.own_instant(now + 1)
            )
        self._cut_off = ()

    # The clients, the clock, and the end

    async def _ask(self, at: int, request: Request) -> None:
        await sleep_until(at)
        asked = Asked(self._number, at, request)
        self._world.ledger.asks.append(asked)
        try:
            await self._supervisor.ask(request)
        except KalaTrioError as error:
            asked.answer, asked.answered_at = type(error).__name__, self._world.now()
        else:
            asked.answer, asked.answered_at = "done", self._world.now()
            await self._reach(Point.AFTER_ANSWER)

    async def _set_clock(self, at: int, step: ClockStep) -> None:
        await sleep_until(at)
        clock = self._world.clock
        clock.set(step.seconds, step.drift)
        self._world.ledger.clock_sets.append(ClockSet(at, clock.now(), step.drift))
        self._world.mark(f"clock set {'back' if step.seconds < 0 else 'forward'} while running")

    async def _pause(self, at: int, seconds: int) -> None:
        await sleep_until(at)
        self._world.clock_of_trio.jump(seconds)

    async def _end(self, at: int) -> None:
        await sleep_until(at)
        if not self._life.stops:
            self._die("at an instant")
            return
        self._world.mark("stop")
        self._world.ledger.stops.append(StopAsked(self._number, at, self._world.clock.now()))
        self._supervisor.stop()
        over = self._world.own_instant(at + self._life.grace * _SECOND)
        await sleep_until(over)
        self._is_over = True
        for process in self._alive():
            self._world.mark("an attempt was stopped")
            process.result = Stopped()
            process.ended_at = self._world.own_instant(over + 1)
            self._ends[process.run_id, process.number].deadline = process.ended_at / _SECOND
        await sleep_until(self._world.own_instant(over + _PATIENCE * _SECOND))
        self._die("while stopping")

    async def _reach(self, point: Point) -> None:
        """Die here, if the script says so; what is dead goes no further."""
        self._reached[point] += 1
        crash = self._life.crash
        if crash and crash.point is point and crash.count == self._reached[point]:
            self._die(point)
        if self._is_dead:
            await trio.sleep_forever()

    def _alive(self) -> list[Process]:
        now = self._world.now()
        return [
            each
            for each in self._world.ledger.processes
            if each.life == self._number and each.ended_at > now
        ]

    def _die(self, point: str) -> None:
        if self._is_dead:
            return
        world = self._world
        self._is_dead = True
        self._scope.cancel()
        world.mark(f"death: {point}")
        world.ledger.deaths.append(Death(self._number, world.now(), point))
        spawned = {(each.run_id, each.number) for each in world.ledger.processes}
        if point is Point.AFTER_SPAWN and self._plans.keys() - spawned:
            world.mark("some were spawned and some were not")
        if any(each.life == self._number and not each.answer for each in world.ledger.asks):
            world.mark("requests waited when it died")
        for process in self._alive():
            if not self._life.orphans:
                process.ended_at = world.now()


def _words(bug: BaseException) -> str:
    if isinstance(bug, BaseExceptionGroup):
        return "; ".join(map(_words, bug.exceptions))
    place = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{bug!r} at {place.name}:{place.lineno}"


async def sleep_until(instant: int) -> None:
    """Sleep until the true instant, in microseconds."""
    await trio.sleep_until(instant / _SECOND)


def play(
    script: Script,
    *,
    supervisor: type[Supervisor] = Supervisor,
    store: Callable[[], MemoryStore] = MemoryStore,
) -> Ledger:
    """Play a script, and return what was seen; other parts than the real ones are for sabotage."""
    clock = MockClock(autojump_threshold=0)

    async def world() -> Ledger:
        world = World(script, supervisor, store, clock)
        await world.play()
        return world.ledger

    return trio.run(world, clock=clock)


def command_for(script: Script) -> str:
    """Return the command that plays the script of this seed again."""
    return f"python -m properties.simulation {script.seed}"


def report(ledger: Ledger) -> str:
    """Tell how to play it again, what happened, and which rules were broken."""
    broken = broken_rules(ledger)
    verdict = [f"broken: {name}: {found}" for name, found in broken.items()]
    return "\n".join(
        [command_for(ledger.script), trace(ledger), *(verdict or ["no rule was broken"])]
    )


def reduced(script: Script, is_bad: Callable[[Script], bool]) -> Script:
    """Take away from a bad script all that it is bad without."""
    while less := next(filter(is_bad, smaller(script)), None):
        script = less
    return script


def main(seed: int) -> None:
    """Play a seed's script and report; where it breaks a rule, also the least of it that does."""
    ledger = play(script_of(seed))
    print(report(ledger))
    if broken := broken_rules(ledger).keys():
        least = reduced(ledger.script, lambda less: broken <= broken_rules(play(less)).keys())
        print("\nThe least of it that breaks the same rules:", *least.lives, sep="\n")
        print(report(play(least)))


if __name__ == "__main__":
    logging.disable()
    main(int(sys.argv[1]))
