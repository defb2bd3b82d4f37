"""Small files of models on the Hugging Face hub: from the cache, else downloaded, else nothing."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from pathlib import Path

TIMEOUT = 3.0  # seconds
AGAIN = 60.0  # seconds after which the hub is asked again
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


def reachable() -> bool:
    """Whether the hub answers. Asked once a minute: its own client tries for half a minute before it gives up."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT, _period())


def _period() -> int:
    return int(time.monotonic() // AGAIN)


@lru_cache(maxsize=1)  # kept by address and minute: networks come and go
def _answers(endpoint: str, _: int) -> bool:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=TIMEOUT).close()
    except HTTPError:  # an answer, if not the one that was wished for
        return True
    except (OSError, ValueError):
        return False
    return True


def hub_file(name: str, file: str) -> Path | None:
    """A file of the model called `name`; None when it is not in the cache and cannot be downloaded.

    The cache is looked at each time: it may have been filled since.
    """
    if not _NAME.fullmatch(name):
        return None
    from huggingface_hub import constants

    if not Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}").is_dir() and not reachable():
        return None  # without the import below, which takes longer than a check
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError:  # a name that the hub never gives
        return None
    if isinstance(found, str):
        return Path(found)
    return _downloaded(name, file, constants.HF_HUB_CACHE, _period()) if reachable() else None


@lru_cache(maxsize=64)  # kept by model, file, where it goes and minute: what is not there may come
def _downloaded(name: str, file: str, folder: str, _: int) -> Path | None:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file, cache_dir=folder))
    except Exception:  # no such model, no such file, no leave, no connection
        return None
