"""Where is measured, and how much of everything."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.bench import databases
from kala_trio.bench.programs import Programs
from kala_trio.core.definition import Definition


class Extent(Struct, frozen=True):
    """How much is measured in one round; spans in seconds."""

    rounds: int
    bursts: tuple[int, ...] = (1, 100, 1_000, 10_000)
    """How many jobs are due at one instant."""
    a_second: int = 500
    """How many runs a second a steady load has."""
    seconds: float = 1.5
    """How long each load lasts."""
    runs: int = 1_000
    """How many runs the throughput is measured with."""
    loaded: int = 10_000
    """How many jobs there are that are not due, where something else is measured."""
    clients: tuple[int, ...] = (1, 64)
    floods: tuple[int, ...] = (64, 1_000)
    """Through how many connections the API is flooded."""
    sizes: tuple[int, ...] = (1_000, 10_000)
    """How many jobs the size is measured with."""
    scales: tuple[int, ...] = (100, 10_000)
    """How many jobs the cost of each operation is measured with."""
    history: int = 0
    """How many runs the long history has; 0: it is left out."""


NORMAL = Extent(rounds=3)
EXTENTS = {
    "quick": Extent(rounds=1, bursts=(1, 100, 1_000), seconds=1.0),
    "full": Extent(
        rounds=3,
        seconds=3.0,
        runs=2_000,
        sizes=(1_000, 10_000, 100_000),
        scales=(100, 1_000, 10_000, 100_000),
        history=1_000_000,
    ),
    # Enough to see that all of it works.
    "tiny": Extent(
        rounds=1,
        bursts=(1, 3),
        a_second=10,
        seconds=0.5,
        runs=5,
        loaded=5,
        clients=(1, 2),
        floods=(2,),
        sizes=(5,),
        scales=(2, 5),
        history=40,
    ),
}


def extent(name: str | None, rounds: int | None) -> Extent:
    """Return the extent of this name, or the normal one, with as many rounds as are wanted."""
    chosen = EXTENTS[name] if name else NORMAL
    return replace(chosen, rounds=rounds) if rounds else chosen


class Place:
    """A directory for databases, on the disk that is measured, and the programs that jobs run."""

    def __init__(self, directory: Path, extent: Extent) -> None:
        """Compile the programs into ``directory``."""
        self.extent = extent
        self.programs = Programs(directory)
        self._directory = directory

    @contextmanager
    def empty(self) -> Iterator[Path]:
        """Lend an empty directory to the end of the block."""
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            yield Path(directory)

    @contextmanager
    def database(self, definitions: Iterable[Definition] = ()) -> Iterator[Path]:
        """Lend a database of these jobs to the end of the block."""
        with self.empty() as directory:
            databases.make(directory / "kala.db", definitions)
            yield directory / "kala.db"


def written(instant: float) -> str:
    """Write an instant as a schedule has it."""
    return datetime.fromtimestamp(instant, UTC).isoformat()
