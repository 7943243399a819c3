"""How the properties run: without deadlines, because no rule is about how fast a machine is."""

import pytest
from hypothesis import settings

from properties import judged

settings.register_profile("kala-trio", deadline=None)
settings.load_profile("kala-trio")


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
