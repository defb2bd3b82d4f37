"""Small files of models on the Hugging Face hub: from the cache, else downloaded, else nothing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

TIMEOUT = 3.0  # seconds
_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


class Pinned(str):
    """The name of a model on the hub, with the revision that a claim was frozen with."""

    revision: str

    def __new__(cls, name: str, revision: str) -> Pinned:
        made = super().__new__(cls, name)
        made.revision = revision
        return made


def cached_revision(name: str) -> str | None:
    """The commit of a model's main branch in the local cache, which loading by name takes, or None."""
    if not _NAME.fullmatch(name):
        return None
    from huggingface_hub import constants

    try:
        ref = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}", "refs", "main")
        return ref.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


@cache
def reachable() -> bool:
    """Whether the hub answers. Asked once: its own client tries for half a minute before it gives up."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=TIMEOUT).close()
    except HTTPError:  # an answer, if not the one that was wished for
        return True
    except (OSError, ValueError):
        return False
    return True


@cache
def hub_file(name: str, file: str) -> Path | None:
    """A file of the model called `name`; None when it is not in the cache and cannot be downloaded."""
    if not _NAME.fullmatch(name):
        return None
    from huggingface_hub import constants

    if not Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}").is_dir() and not reachable():
        return None  # without the import below, which takes longer than a check
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, file)
        return Path(found if isinstance(found, str) else hf_hub_download(name, file))
    except Exception:  # no such model, no such file, no leave, no connection
        return None
