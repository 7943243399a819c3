"""What is judged, and how hard: ``--implementation``, and the profiles of ``--hypothesis-profile``.

No profile has deadlines, because no rule is about how fast a machine is.
"""

import importlib
import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from properties.implementation import Implementation

KALA = "properties.kala:Kala"

settings.register_profile("dev", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=500, derandomize=True)
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
    max_examples=150,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile("dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the command line name another implementation."""
    parser.addoption(
        "--implementation",
        default=KALA,
        metavar="MODULE:FACTORY",
        help="the scheduler that the S and L properties judge (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """Make what is judged."""
    module, _, factory = request.config.getoption("--implementation").partition(":")
    made: Implementation = getattr(importlib.import_module(module), factory)()
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what judges kala-trio alone, where another implementation is named."""
    if config.getoption("--implementation") == KALA:
        return
    judging = [item for item in items if "implementation" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in judging])
    items[:] = judging
