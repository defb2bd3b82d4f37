"""What the bridges of the zoo say of some rows, as files beside their weights: to be run when weights were changed.

python examples/record_logits.py [NAME...]
"""

from __future__ import annotations

import sys

from training import RECORDED

from scrub.model.open import zoo_bridge
from scrub.model.recorded import native_of, record
from scrub.zoo import NAMES, info, rows
from scrub.zoo.cards import logits_path

for name in sys.argv[1:] or NAMES:
    said = record(zoo_bridge(name), native_of(info(name)), [row["tokens"] for row in rows(name, RECORDED, seed=0)])
    said.write(logits_path(name))
    print(f"{name}: {said.logits.shape[1]} positions of {len(said.tokens)} rows, weights and settings {said.told}")
