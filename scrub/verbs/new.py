"""`scrub new`: a commented hypothesis file to start from, after a claim of the gallery or for a model at hand."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfile, copytree
from string import Template

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.claims.text import Tokenizer, default_bos, token_id
from scrub.errors import ClaimError, ModelError, ScrubError, did_you_mean
from scrub.model.computation import Computation
from scrub.model.source import Source, find
from scrub.storage import files
from scrub.verbs.gallery import needed, starts

FOLDER = Path(__file__).parent / "templates"
OF_A_MODEL = "model"
FEWEST, MOST, LONGEST = 8, 16, 8  # words to choose from, and tokens of the longest row
_WORDS = (
    "cat dog tree river house car book door hand sun moon fish bird horse road city king ship gold stone water fire"
    " table music window garden letter money school paper army wood rain snow salt milk"
)

_IMPORTS = "Dataset, Interpretation, claim, embed, heads, logits, recovers"

_TEXTS = """\
# Each word is one token of this model, with the space before it. {A1| cat} names its token's position A1. The
# parameter `tokenizer` is filled with the model's own.
WORDS = "$words".split()


def rows(tokenizer):
    rng = random.Random(0)
    texts, columns = [], {"a": [], "b": []}
    for _ in range(100):
        a, b, *others = (" " + word for word in rng.sample(WORDS, rng.randint(4, 7)))
        cut = rng.randint(1, len(others) - 1)
        texts.append("".join([*others[:cut], f"{{A1|{a}}}{{B1|{b}}}", *others[cut:], f"{{END|{a}}}"]))
        columns["a"].append(a)
        columns["b"].append(b)
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns$bos)
"""

_TOKENS = """\
# $why, so rows are written as token ids. Otherwise one writes
#     def rows(tokenizer):  # filled with the model's own
#         texts = [" tree{A1| cat}{B1| dog} sun{END| cat}", ...]
#         return Dataset.from_text(texts, tokenizer=tokenizer, columns={"a": [" cat", ...], "b": [" dog", ...]})
def rows():
    rng, made = random.Random(0), []
    for _ in range(100):
        a, b, *others = rng.sample(range($first, $last), rng.randint(4, 7))
        cut = rng.randint(1, len(others) - 1)
        tokens = [*others[:cut], a, b, *others[cut:], a]
        positions = {"A1": cut, "B1": cut + 1, "END": -1}
        made.append({"tokens": tokens, "positions": positions, "columns": {"a": a, "b": b}})
    return Dataset.from_rows(made)
"""


def write_new(file: Path, like: str, model: str | None) -> str:
    """Write a hypothesis file: after `like`, or about `model`, a directory or a name.

    `like` is a commented start (`induction`, `ioi`), or any other claim of the gallery or example, which is copied
    with what it needs beside it. Gives what to do next. Raises ClaimError for a file that exists or has another
    suffix, and for an unknown `like`; ModelError for a model that cannot be found or is too small.
    """
    commented = {path.stem for path in FOLDER.glob("*.txt") if path.stem != OF_A_MODEL}
    others = starts()
    if like not in (known := sorted({*commented, *others})):
        raise ClaimError(
            f"--like {like}: there is no such start.{did_you_mean(like, known)} Known: {', '.join(known)}."
        )
    if model is None and like not in commented:
        _copied(others[like], file)
        return _next(others[like], file)
    free_for_a_claim(file)
    content = _text(like).replace("FILE", file.name) if model is None else _about(model, file.name)
    files.write_text(file, content.rstrip())
    return _next(file, file)


def _next(start: Path, file: Path) -> str:
    """What to do with a file: a claim is checked, an example runs, a notebook is opened."""
    if start.parent.name != "examples":
        return f"scrub check {file}; scrub show {file}; scrub test {file}"
    return f"python {file} --help, or read it" if file.suffix == ".py" else "open it as a notebook"


def _copied(start: Path, file: Path) -> None:
    """Copy a start, and beside it what it needs and is not there yet. Commands in its text name the new file."""
    free_for_a_claim(file, start.suffix)
    text = start.read_text(encoding="utf-8")
    files.write_text(file, text.replace(f"{start.parent.name}/{start.name}", file.name).rstrip())
    for other in needed(start):
        place = file.parent / other.name
        if place.exists():
            continue
        if other.is_dir():
            copytree(other, place)
        else:
            copyfile(other, place)


def free_for_a_claim(file: Path, suffix: str = ".py") -> None:
    """Raises ClaimError for a file that exists, or that has another suffix than that of its start."""
    files.free(file)
    if file.suffix != suffix:
        what = "claims are written in Python" if suffix == ".py" else "this start is a notebook"
        raise ClaimError(f"{file}: {what}: call it {file.with_suffix(suffix).name}.")


def _text(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def _about(model: str, file: str) -> str:
    """The template of a model, filled with what is known without its weights."""
    source = find(model)
    assert not isinstance(source.graph, Computation)
    shape = source.graph.shape
    late = max(1, shape.n_layers // 2) if shape.n_layers > 1 else 0
    pair = f'"{late}.0 {late}.1"' if shape.n_heads > 1 else f'"{late}.0"'
    if late:
        before = (
            f'heads("{late - 1}.0", at="B1").reads(v="first"),  # head 0 of layer {late - 1} reads through its values'
        )
        key = "before"
    else:
        before, key = "inside,  # one layer has no place for it: its reader computes it from `first`", "first"
    reads = f'reads(q="current", k="{key}", v="b")'
    return Template(_text(OF_A_MODEL).replace("FILE", file)).substitute(
        name=source.graph.name,
        layers=_count(shape.n_layers, "layer"), heads=_count(shape.n_heads, "head"), vocabulary=shape.d_vocab,
        names=_IMPORTS if late else _IMPORTS.replace("heads, ", "heads, inside, "),
        data=_data(source, shape).rstrip("\n"),
        model=json.dumps(given_model(model), ensure_ascii=False),
        before=f"before={before}", found=f'found=heads({pair}, at="END").{reads},', late=pair, key=json.dumps(key),
    )  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def given_model(model: str) -> str:
    """A directory in full, so that the file works from anywhere; a name as it is."""
    path = Path(model).expanduser()
    return str(path.resolve()) if path.is_dir() else model


def _data(source: Source, shape: Shape) -> str:
    """The function that makes the rows: marked texts where words of the list are single tokens, else token ids."""
    if shape.n_ctx < LONGEST or shape.d_vocab < FEWEST:
        raise ModelError(
            f"{source.name} reads {shape.n_ctx} tokens of a vocabulary of {shape.d_vocab}: too few for the "
            "claim that scrub new writes."
        )
    words = _words(source.tokenizer)
    if words:
        usual = source.tokenizer is not None and default_bos(source.tokenizer) is not None
        return Template(_TEXTS).substitute(words=" ".join(words), bos=", bos=True" if usual else "")
    lacks = "comes with no tokenizer.json" if source.tokenizer is None else "reads common words as several tokens"
    first = max(0, min(300, shape.d_vocab - MOST))  # the first tokens are special ones and single bytes
    return Template(_TOKENS).substitute(why=f"This model {lacks}", first=first, last=min(first + MOST, shape.d_vocab))


def _words(tokenizer: Tokenizer | None) -> list[str]:
    """Words that are one token each, alone and after one another; none where there are too few."""
    if tokenizer is None:
        return []
    single = [word for word in _WORDS.split() if token_id(f" {word}", tokenizer) is not None][:MOST]
    try:
        Dataset.from_text(["".join(f"{{{word}| {word}}}" for word in single)], tokenizer=tokenizer)
    except ScrubError:
        return []
    return single if len(single) >= FEWEST else []
