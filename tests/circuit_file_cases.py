"""What the tests of circuits in files share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scrub.circuit.circuit import Circuit
from scrub.errors import ClaimError


def stored(folder: Path, content: Any, name: str = "circuit.txt") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def names(circuit: Circuit) -> set[str]:
    return {str(part) for part in (*circuit.nodes, *circuit.edges)}


def refused(folder: Path, content: Any, *wanted: str) -> str:
    file = stored(folder, content)
    with pytest.raises(ClaimError) as caught:
        Circuit.read(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    for words in wanted:
        assert words in message, message
    return message


HOOKS: list[list[Any]] = [
    ["blocks.11.hook_resid_post", [None], "blocks.9.attn.hook_result", [None, None, 6]],
    ["blocks.9.hook_q_input", [None, None, 6], "blocks.7.attn.hook_result", [None, None, 3]],
    ["blocks.9.attn.hook_q", [None, None, 6], "blocks.9.hook_q_input", [None, None, 6]],
    ["blocks.9.attn.hook_result", [None, None, 6], "blocks.9.attn.hook_q", [None, None, 6]],
    ["blocks.2.hook_mlp_in", [None], "hook_embed", [None]],
    ["blocks.2.hook_mlp_out", [None], "blocks.2.hook_mlp_in", [None]],
    ["blocks.3.hook_resid_mid", [None], "hook_pos_embed", [None]],
    ["blocks.3.hook_v_input", [None, None, 1], "blocks.0.hook_resid_pre", [None]],
    ["blocks.4.hook_k_input", [None, None, 1], "blocks.2.hook_mlp_out", [None]],
]
