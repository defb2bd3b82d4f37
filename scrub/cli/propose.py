"""The command of proposals: what `scrub propose` prints is what `scrub.propose` returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from scrub.claims.protocol import DIRECTIONS
from scrub.cli.endings import FINE
from scrub.cli.freeze import one_claim
from scrub.cli.options import (
    Command,
    ExistingPath,
    Results,
    about,
    beside,
    command_line,
    going_on,
    number_or_word,
    on_device,
    on_model,
    picture_file,
    reporting,
    say,
    sound_claims,
    spreading,
    storing,
)
from scrub.cli.ranking import alone, by_rank, ranks_of
from scrub.errors import ClaimError
from scrub.report.saved import save_picture
from scrub.storage import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrub.claims.hypothesis import Hypothesis
    from scrub.proposals.proposal import Proposal
    from scrub.storage.directory import Run


def _setting(command: Command) -> Command:
    way = "Patch the row with its partner's values, or the partner with the row's."
    for option in (
        click.option("--direction", type=click.Choice(DIRECTIONS), default="noising", show_default=True, help=way),
        click.option("--read", default="-1", metavar="POSITION", help="Where logits are read (default: the end)."),
        click.option("--scored", metavar="COLUMN", help="Boolean column of the rows to use (with --data)."),
        click.option("--pair", metavar="COLUMN", help="Column that names each row's counterfactual."),
        click.option("--metric", metavar="METRIC", help="Such as 'logit_diff(io, s1)' (with --data)."),
        click.option("--data", type=ExistingPath(), metavar="FILE", help="Rows as JSON, one a line."),
    ):
        command = option(command)
    return command


def _search(command: Command) -> Command:
    for option in (
        click.option("--seed", default=0, show_default=True, help="The seed of every draw."),
        click.option("--rows", type=int, help="Rows to look at (default: half of them, at most 64)."),
        click.option(
            "--draws", default=256, show_default=True, help="Random subsets that bound what was not patched."
        ),
        click.option(
            "--top", default=10, show_default=True, help="Stop patching when this many of the largest stand."
        ),
        click.option(
            "--verify",
            default="64",
            show_default=True,
            type=number_or_word,
            metavar="N|all",
            help="Nodes that are patched exactly, at most; 'all' of them, whatever stands.",
        ),
        click.option("--edges/--no-edges", default=None, help="Estimate edges (default: where the method can)."),
        click.option(
            "--absolute/--signed", default=None, help="Means of |effect|, or signed (default: the method's)."
        ),
        click.option(
            "--over", default="inputs", show_default=True, help="Path of eap-ig: inputs, activations or senders."
        ),
        click.option("--points", help="Of each step: left, midpoint or right (default: the method's)."),
        click.option("--steps", default=5, show_default=True, help="Steps of integrated gradients."),
        click.option("--rules", help="Rules of relevance propagation, such as 'ln identity half'."),
        click.option(
            "--at", metavar="POSITIONS", help="Nodes at these positions ('END S2', 'all'; default: summed)."
        ),
        click.option(
            "--dictionary",
            multiple=True,
            metavar="[COMPONENT=]DIR",
            help="Rank its latents, and its error (repeatable).",
        ),
        click.option("--nodes", metavar="KINDS", help="Such as 'heads mlps', 'channels' (q, k, v) or 'neurons'."),
        click.option("--method", default="recommended", show_default=True, help="How effects are estimated."),
    ):
        command = option(command)
    return command


@click.command(short_help="Rank what is worth claiming, and verify it.")
@click.argument("targets", nargs=-1, metavar="[FILE::NAME]...")
@on_model
@_setting
@_search
@on_device
@spreading
@by_rank
@click.option(
    "--write",
    type=ExistingPath(),
    metavar="FILE",
    help="Write a claim to start from; of --rank its directions alone, where FILE ends in .safetensors.",
)
@click.option(
    "--picture",
    type=ExistingPath(),
    metavar="FILE",
    help="Write the heat map (of --rank: the curve), .svg, .png or .pdf.",
)
@storing
@reporting
def propose(
    targets: tuple[str, ...], model: str | None, data: Path | None, metric: str | None, scored: str | None, read: str,
    write: Path | None, picture: Path | None, out: Path | None, **asked: Any,
) -> tuple[Results, int]:  # fmt: skip
    """Rank the parts of a model by what patching them does, verify the first ones, and bound what was missed.

    In the setting of a claim, or with --model, --data, --metric and --pair. Only some rows are looked at, so that a
    claim can be tested on the others. With --rank: how many dimensions of its components a variable takes.
    """
    picture_file(picture)
    alone(asked)
    if asked["rank"] is not None:
        (target,) = targets if len(targets) == 1 else ("",)
        if not target:
            raise ClaimError("--rank is asked of one claim: name it, file.py::name.")
        told = asked | {"model": model, "write": write, "picture": picture}
        return ranks_of(one_claim(target, model), told, out)
    asked = {name: value for name, value in asked.items() if name not in ("rank", "component", "joint", "worth")}
    if targets and data is not None:
        raise ClaimError(f"{targets[0]} and --data {data}: a claim brings its own data; give one of the two.")
    asked |= {"write": write, "dictionary": asked["dictionary"] or None}
    claims = sound_claims(targets, model, expecting=False, foils=False) if targets else ()
    run = beside(out, claims, stored.PROPOSALS)
    so_far = _SoFar(run)
    with going_on(so_far.kept):
        asked["ready"] = so_far
        if not claims:
            setting = {"model": model, "data": data, "metric": metric}
            found = [_at_hand(setting, asked | {"scored": scored, "read": number_or_word(read)})]
        else:
            found = _of_claims(claims, model, metric, scored, asked)
    say("\n\n".join(map(str, found)))
    if picture is not None:
        _draw(found[0], picture)
    if write is not None:
        say(f"written: {write}; check it with `scrub check {write}`, then name its variables")
    results = [proposal.to_dict() for proposal in found]
    if run is not None:
        stored.save(run.folder, stored.PROPOSALS, results, command_line())
    return results, FINE


@define
class _SoFar:
    """The last that was heard of each proposal: printed, and stored, where they are broken off."""

    run: Run | None
    heard: dict[str | None, Proposal] = field(factory=dict["str | None", "Proposal"])

    def __call__(self, proposal: Proposal) -> None:
        self.heard[proposal.hypothesis] = proposal

    def kept(self) -> str | None:
        found = list(self.heard.values())
        if not found:
            return None
        say("\n\n".join(map(str, found)))
        if self.run is None:
            return "what is printed is not written anywhere (--out)"
        results = [proposal.to_dict() for proposal in found]
        stored.save(self.run.folder, stored.PROPOSALS, results, command_line())
        return f"the proposals above are kept in {self.run.folder}"


def _at_hand(setting: dict[str, Any], asked: dict[str, Any]) -> Proposal:
    from scrub.verbs.propose import propose as run

    if lacking := [f"--{name}" for name, value in setting.items() if value is None]:
        raise ClaimError(f"name a claim, file.py::name, or give {', '.join(lacking)} as well.")
    return run(**setting, **asked)


def _of_claims(
    claims: Sequence[Hypothesis], model: str | None, metric: str | None, scored: str | None, asked: dict[str, Any]
) -> list[Proposal]:
    from scrub.verbs.propose import propose as run

    found: list[Proposal] = []
    if asked["write"] is not None and len(claims) > 1:
        raise ClaimError(
            f"--write {asked['write']}: one claim at a time, found {len(claims)}: name it, file.py::name."
        )
    for hypothesis in claims:
        with about(hypothesis):
            found.append(run(hypothesis, model=model, metric=metric, scored=scored, **asked))
    return found


def _draw(proposal: Proposal, file: Path) -> None:
    from scrub.report.proposal import proposal_svg

    save_picture(proposal_svg(proposal), file)
    say(f"picture: {file}")
