"""The command that runs one command here, as the daemon would run a job's."""

import os
import signal
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, assert_never

import click
import msgspec
import trio

from kala_trio.bodies import decode_job
from kala_trio.cli.options import keys_given, with_keys
from kala_trio.cli.status import exit_status
from kala_trio.cli.tables import elapsed
from kala_trio.clock import WallClock
from kala_trio.core.definition import Definition, Execution
from kala_trio.core.job import (
    Answered,
    Cancelled,
    Cause,
    Exited,
    Lost,
    NoAnswer,
    NotStarted,
    Result,
    Run,
    Signalled,
    Stopped,
    TimedOut,
    Trigger,
    reason_of,
)
from kala_trio.core.messages import AttemptEnded, StartAttempt
from kala_trio.printable import printable
from kala_trio.runner.local import LocalRunner
from kala_trio.runner.output import output_path
from kala_trio.templates import accepted
from kala_trio.web.following import follow
from kala_trio.wire import encode_time

_OWN = {*Execution.__struct_fields__, "timeout"}
_TIMED_OUT = 124  # the statuses of timeout(1) and of shells
_NOT_STARTED = 126
_BY_SIGNAL = 128


@click.command("exec")
@click.argument("command")
@with_keys(only=_OWN)
def execute(command: str, **given: Any) -> None:
    """Run COMMAND once, here and now, as the daemon would run a job's; show all of it.

    It has no terminal and no input but --stdin, leads a process group, and is given the variables
    of a run. What it writes is printed as it comes, what became of it on standard error. The
    environment is that of this shell: with env -i before it, it is nearly that of a service.

    Exit status: the command's own; 124 after --timeout, 126 if it could not be started, 128 and
    the signal's number if one has killed it; 2 for a bad option.
    """
    with exit_status():
        keys = {"name": "exec", "command": command, **keys_given(given)}
        definition = accepted(
            decode_job(msgspec.json.encode(keys), default_owner=""), WallClock().now()
        )
        with tempfile.TemporaryDirectory(prefix="kala-trio-") as place:
            ended = trio.run(_run, definition, Path(place))
    took = elapsed(encode_time(ended.started_at), encode_time(ended.ended_at))
    reason = printable(reason_of(ended.result)) or "succeeded"
    click.echo(f"kala-trio: {reason}, after {took}", err=True)
    sys.exit(_status(ended.result))


async def _run(definition: Definition, place: Path) -> AttemptEnded:
    clock, job_id = WallClock(), str(uuid.uuid4())
    trigger = Trigger(Cause.MANUAL, clock.now())
    run = Run(f"{job_id}.1", job_id, definition.name, 1, trigger, clock.now())
    ending, is_over = trio.CancelScope(), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, ending)
        async with trio.open_nursery() as readers:
            readers.start_soon(_show, output_path(place, run.id), is_over, ending)
            async with trio.open_nursery() as leftovers:
                runner = LocalRunner(place, clock, leftovers)
                ended = await runner.run_attempt(StartAttempt(run, 1, definition), ending)
                # What it leaves behind would write into a directory that is gone.
                leftovers.cancel_scope.cancel()
            is_over.set()
        nursery.cancel_scope.cancel()
    return ended


async def _show(path: Path, is_over: trio.Event, ending: trio.CancelScope) -> None:
    out = sys.stdout.buffer
    async for data in follow(path, is_over.is_set):
        try:
            out.write(data)
            out.flush()
        except BrokenPipeError:  # nobody reads any more; what is left is for nobody
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            ending.cancel()


async def _end_on_signal(ending: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for _ in received:
            ending.cancel()


def _status(result: Result) -> int:
    match result:
        case Exited(code):
            return code
        case Signalled(name):
            return _BY_SIGNAL + getattr(signal, name, 0)
        case TimedOut():
            return _TIMED_OUT
        case Cancelled():
            return _BY_SIGNAL + signal.SIGINT
        case NotStarted() | Lost() | Stopped() | Answered() | NoAnswer():
            return _NOT_STARTED  # of which a command that is run here can be but the first
        case _:
            assert_never(result)
