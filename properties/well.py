"""A scheduler that is well, as it shows itself to others."""

from datetime import UTC, datetime

from kala_trio.vitals import Tally, Vitals

WELL = Vitals(
    started_at=datetime(2026, 3, 1, tzinfo=UTC),
    is_restored=True,
    is_stopping=False,
    can_commit=True,
    busy_for=0.0,
    running=2,
    next_wake=datetime(2026, 3, 2, 3, tzinfo=UTC),
    tally=Tally(runs={"succeeded": 5, "failed": 1}),
)


async def well() -> Vitals:
    """Return that, as one who asks the scheduler gets it."""
    return WELL
