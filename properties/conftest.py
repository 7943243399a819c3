"""What is judged, and how hard: ``--implementation``, and the profiles of ``--hypothesis-profile``.

No profile has deadlines, because no rule is about how fast a machine is.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from properties import judged

# The files whose properties know nothing but properties/implementation.py.
JUDGING = {
    "test_occurrences",
    "test_oracles",
    "test_schedule",
    "test_schedule_text",
    "test_vectors",
}

settings.register_profile("dev", deadline=None, max_examples=100)
# Nothing is explained: for that each line of each example would be traced, in twice the time.
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=500,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.target, Phase.shrink],
)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=int(os.environ.get("KALA_TRIO_SOAK_EXAMPLES", "10000")),
    suppress_health_check=[HealthCheck.too_slow],
)
# Whether another implementation fails, and no more: the same examples each time, none made smaller.
settings.register_profile(
    "judge",
    deadline=None,
    max_examples=100,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile("dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the command line say what is judged."""
    parser.addoption(
        "--implementation",
        metavar="MODULE:FACTORY",
        default=judged.DEFAULT,
        help="what the S and L properties judge",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have it at hand before the first property runs."""
    judged.choose(config.getoption("--implementation"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not judge another implementation, and without a profile what is slow."""
    kept = items
    if config.getoption("--implementation") != judged.DEFAULT:
        kept = [item for item in kept if item.path.stem in JUDGING]
    if not config.getoption("--hypothesis-profile"):
        kept = [item for item in kept if item.get_closest_marker("thorough") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
