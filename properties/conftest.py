"""What is judged, and how hard: ``--implementation``, and the profiles of ``--hypothesis-profile``.

No profile has deadlines, because no rule is about how fast a machine is.
"""

import importlib
import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from properties.implementation import Implementation

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
    max_examples=60,
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
        default="properties.kala:Kala",
        metavar="MODULE:FACTORY",
        help="the scheduler that the S and L properties judge (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """Make what is judged."""
    module, _, factory = request.config.getoption("--implementation").partition(":")
    made: Implementation = getattr(importlib.import_module(module), factory)()
    return made
