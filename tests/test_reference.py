"""The oracle against numbers that were worked out by hand, and against the model at its two ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
import torch
from reference import baseline, scrubbed
from strategies import checked, random_transformer_claim

from scrub import claims
from scrub.claims.resolved import Claim
from scrub.model.computation import Computation
