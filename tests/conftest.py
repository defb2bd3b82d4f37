"""One thread, no hub, and `--slow` for the long simulations."""

import gc
import os

import pytest

import typed

gc.disable()  # until all tests are collected: what is imported stays
typed.install()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long simulations")


def pytest_runtest_setup() -> None:
    typed.calls.clear()


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="a long simulation: run pytest --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
