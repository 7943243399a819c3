"""All claims, and what contradicts them in the ledgers of a torture."""

from collections.abc import Callable, Iterator

from torture import accounting, durability
from torture.evidence import Evidence
from torture.ledgers import Ledgers

Claim = Callable[[Evidence], Iterator[str]]

CLAIMS: tuple[Claim, ...] = (
    durability.created_jobs_are_there,
    durability.deleted_jobs_stay_deleted,
    durability.what_is_read_is_so,
    durability.enabling_is_kept,
    durability.attempts_start_once,
    durability.cut_off_is_lost,
    durability.attempts_do_not_overlap,
    durability.outcomes_are_true,
    durability.the_end_is_clean,
    accounting.occurrences_are_accounted_for,
    accounting.manual_starts_are_accounted_for,
    accounting.children_follow_successes,
    accounting.failure_jobs_follow_failures,
    accounting.reruns_follow_losses,
    accounting.counters_agree,
)


def broken_claims(ledgers: Ledgers) -> dict[str, list[str]]:
    """Return the claims that do not hold, each with its rule and what contradicts it."""
    evidence = Evidence(ledgers)
    found = {f"{claim.__name__}: {claim.__doc__}": list(claim(evidence)) for claim in CLAIMS}
    return {claim: records for claim, records in found.items() if records}
