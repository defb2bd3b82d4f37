"""One thread, no hub, and `--slow` for the long simulations."""

import os
from collections.abc import Iterator

import pytest

import typed

typed.install()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long simulations")


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="a long simulation: run pytest --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="module")
def ten_rows_judge() -> Iterator[None]:
    """Tests of something else than verdicts, whose few rows are worked out by hand: 10 are enough there."""
    from scrub.claims import seen

    asked, seen.VERDICT_ROWS = seen.VERDICT_ROWS, 10
    yield
    seen.VERDICT_ROWS = asked
