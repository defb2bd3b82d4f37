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


@pytest.fixture(scope="session", autouse=True)
def worked_examples_may_judge() -> Iterator[int]:
    """Examples whose numbers are worked out by hand have a dozen rows; they are judged as if 10 were enough.

    What it gives is the limit as it is: `verdict_rows` puts it back for a test.
    """
    from scrub.claims import seen

    asked, seen.VERDICT_ROWS = seen.VERDICT_ROWS, 10
    yield asked
    seen.VERDICT_ROWS = asked


@pytest.fixture
def verdict_rows(worked_examples_may_judge: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The rows that a verdict takes, for a test that is about them."""
    monkeypatch.setattr("scrub.claims.seen.VERDICT_ROWS", worked_examples_may_judge)
    return worked_examples_may_judge
