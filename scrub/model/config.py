"""What a Hugging Face `config.json` says, checked: numbers, flags, and the shape that most families write alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError, nearest

# the most that a key may say; claims about larger models could not be checked in bounded time
_MOST = {
    "n_layer": 1000, "num_hidden_layers": 1000,
    "n_head": 1000, "num_attention_heads": 1000, "num_key_value_heads": 1000,
    "n_embd": 10**6, "hidden_size": 10**6, "head_dim": 10**6, "n_inner": 10**7, "intermediate_size": 10**7,
    "vocab_size": 10**8, "n_positions": 10**8, "max_position_embeddings": 10**8,
}  # fmt: skip
TYPO = 0.85  # keys that differ more are others
_OTHER = 10**7  # of any other key
_OPTIONAL = ("n_inner", "num_key_value_heads", "head_dim")  # missing or null: what follows from the others


@frozen
class Config:
    """The keys of a `config.json`, which was read from `file`."""

    keys: Mapping[str, Any]
    file: str

    def numbers(self, *keys: str) -> dict[str, int]:
        """What keys say, without the optional ones that say nothing. Raises ModelError with all that is wrong."""
        needed = [key for key in keys if key not in _OPTIONAL or self.keys.get(key) is not None]
        wrong = [self._wrong(key) for key in needed if not _counts(self.keys.get(key), _MOST.get(key, _OTHER))]
        if wrong:
            raise ModelError(f"{self.file}: {'; '.join(wrong)}. It describes no model that can be tested.")
        return {key: self.keys[key] for key in needed}

    def _wrong(self, key: str) -> str:
        if key not in self.keys:
            return f"{key!r} is missing{_near(key, self.keys)}"
        return f"{key!r} is {shown(self.keys[key])}, no whole number from 1 to {_MOST.get(key, _OTHER):,}"

    def shared(self, whole: str, parts: str) -> int:
        """How much of a whole each part has. Raises ModelError where that is no whole number."""
        found = self.numbers(whole, parts)
        if found[whole] % found[parts]:
            raise ModelError(f"{self.file}: {whole!r}, {found[whole]}, is no multiple of {parts!r}, {found[parts]}.")
        return found[whole] // found[parts]

    def flag(self, key: str, default: bool) -> bool:
        """Raises ModelError for what is neither true nor false."""
        value = self.keys.get(key, default)
        if not isinstance(value, bool):
            raise ModelError(f"{self.file}: {key!r} is {shown(value)}, neither true nor false.")
        return value


def like_llama(config: Config, family: str, gated: bool = True) -> Shape:
    """The shape of a family whose `config.json` has the keys of Llama's. Raises ModelError."""
    found = config.numbers(
        "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size", "head_dim",
        "intermediate_size", "vocab_size", "max_position_embeddings",
    )  # fmt: skip
    heads = found["num_attention_heads"]
    if "num_key_value_heads" in found:
        config.shared("num_attention_heads", "num_key_value_heads")
    return Shape(
        family, found["num_hidden_layers"], heads, found.get("num_key_value_heads", heads), found["hidden_size"],
        found.get("head_dim") or config.shared("hidden_size", "num_attention_heads"),
        found["intermediate_size"], found["vocab_size"], found["max_position_embeddings"], "rotary",
        gated=gated,
    )  # fmt: skip


def _near(key: str, known: Mapping[str, Any]) -> str:
    close = nearest(key, known, TYPO)
    return f" (is it {close!r}?)" if close else ""


def _counts(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def shown(value: object) -> str:
    """A value as it stands in the file, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
