"""Memory that nobody wrote to holds NaN in these tests: circuits are sums over arrays that are filled bit by bit."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def not_a_number_where_nothing_is_written() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
