"""A simulation as a picture: a row for each job, in a file that needs no page around it."""

from datetime import datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct, field

from kala_trio.simulation.happenings import Ended, Happening, MissedSome, Started
from kala_trio.web.svg import alone
from kala_trio.web.timeline import Bar, Gap, Row, draw_timeline

_MOST_ROWS: Final = 100
_STYLE: Final = """
.timeline { background: #fff; color: #1c2227; font: 12px system-ui, sans-serif; }
.hour { color: #57616b; font-size: 11px; }
.hour text, .label { fill: currentColor; }
.row.failing .label { fill: #a3241a; font-weight: 600; }
.run { fill: #a3241a; }
.run.succeeded { fill: #1c6b34; }
.run.running { fill: #0b5cad; }
.run.cancelled, .run.stopped { fill: #7a5200; }
.missed { color: #e08700; stroke-width: 2.5; }
"""


class _Lane(Struct):
    name: str
    open: dict[str, datetime] = field(default_factory=dict)
    runs: list[Bar] = field(default_factory=list)
    missed: list[Gap] = field(default_factory=list)


class Picture:
    """Takes in what happens, and draws it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lanes: dict[str, _Lane] = {}

    def add(self, it: Happening) -> None:
        """Note runs and what was missed."""
        match it:
            case Started(attempt=1):
                self._lane(it.job_id, it.job_name).open[it.run_id] = it.at
            case Ended():
                lane = self._lane(it.job_id, it.job_name)
                lane.open.pop(it.run_id, None)
                lane.runs.append(Bar(it.started_at, it.ended_at, it.outcome))
            case MissedSome():
                gap = Gap(it.first, it.last, it.count, it.reason)
                self._lane(it.job_id, it.job_name).missed.append(gap)
            case _:
                pass

    def drawn(self, begin: datetime, end: datetime, zone: tzinfo) -> str:
        """Return the picture as SVG, by the clock of a zone."""
        rows = [
            Row(
                lane.name,
                (*lane.runs, *map(Bar, lane.open.values())),
                (*sorted(lane.missed, key=lambda gap: gap.first),),
            )
            for lane in self._lanes.values()
        ]
        # What is in progress goes on beyond the end, and there is no instant that is now.
        after = end + timedelta(microseconds=1)
        begin, end = begin.astimezone(zone), end.astimezone(zone)
        return alone(draw_timeline(rows, begin, end, after, _MOST_ROWS), _STYLE)

    def _lane(self, job_id: str, name: str) -> _Lane:
        return self._lanes.setdefault(job_id, _Lane(name))
