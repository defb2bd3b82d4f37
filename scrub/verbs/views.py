"""`scrub.views`: what a claim's components look like from inside. Evidence, never a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, did_you_mean
from scrub.evidence.views import NAMES, ShownRow, Views
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import bench_of, countable, holding, progress, references, weights_of
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    from scrub.evidence.scene import Scene

SCRUBBED = "otherwise"  # the view for which the claim is scrubbed


def views(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 5, seed: int = 0,
    *, only: str | Sequence[str] | None = None, show: int = 3, device: str | None = None,
    dtype: str = "auto", memory: Asked = None, stream: bool = False,
) -> Views:  # fmt: skip
    """Attention, streams, writes, probes of what a claim names, on its scored rows. Evidence: no score comes of it.

    `only` names views (`"attention lens"`; default: all): attention, lens, written, matching, direct, probes,
    otherwise. `show` rows are told token by token; `draws` are those of `otherwise`; other arguments are as in
    `test`. Every row is run at most twice. A view that the claim or its model does not have is left out, and
    `left_out` says why. Raises ClaimProblems with all problems of the claim, ClaimError for an unknown view and for a
    computation graph, which has no attention, streams or logits; ModelError.
    """
    countable(draws, rows, seed)
    asked = _named(only)
    if type(show) is not int or show < 0:
        raise ClaimError(f"show={show!r}: how many rows are told token by token, a whole number from 0 on.")
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    if not isinstance(claim.graph, TransformerGraph):
        raise ClaimError(
            f"{hypothesis.title} is about a computation graph, which has no attention, streams or logits to look at: "
            "views are of transformers."
        )
    used = references(claim, rows, seed)
    weights = weights_of(source, claim.data, Backend(device, dtype, memory))
    assert weights is not None
    holding(weights, source, claim)
    from scrub.evidence import otherwise
    from scrub.evidence.scene import Scene
    from scrub.evidence.seen import seen

    scene = Scene(claim, weights, source.tokenizer, used, min(show, len(used)), seed)
    with progress(f"{hypothesis.title}: rows", len(used)) as done:
        found, left_out = seen(scene, [name for name in asked if name != SCRUBBED], done)
    if SCRUBBED in asked:
        found[SCRUBBED] = otherwise.look(scene, bench_of(claim, source, weights), draws)
    options = {"only": list(asked)} if len(asked) < len(NAMES) else {}
    return Views(
        hypothesis=name_of(hypothesis), digest=claim.digest, rows=len(used), seed=seed, shown=_shown(scene),
        left_out=left_out, options=options | claim.options.deviations(),
        provenance=record_of(source, weights, claim.data), **found,
    )  # fmt: skip


def _named(only: str | Sequence[str] | None) -> tuple[str, ...]:
    """The views that are asked for, in their order. Raises ClaimError for one that is none."""
    if only is None:
        return tuple(NAMES)
    words = only.replace(",", " ").split() if isinstance(only, str) else list(only)
    unknown = [word for word in words if word not in NAMES]
    if unknown or not words:
        found = repr(unknown[0]) if unknown else "nothing"
        near = did_you_mean(str(unknown[0]), NAMES) if unknown else ""
        raise ClaimError(f"only={only!r}: {found} is no view.{near} There are {', '.join(NAMES)}.")
    return tuple(name for name in NAMES if name in words)


def _shown(scene: Scene) -> tuple[ShownRow, ...]:
    numbers = scene.used[: scene.shown].tolist()
    rows = [scene.data.rows[i] for i in range(scene.shown)]
    return tuple(
        ShownRow(number, tuple(map(scene.word, row.tokens)), dict(row.positions))
        for number, row in zip(numbers, rows, strict=True)
    )
