"""What a claim says beside what it recovers, as values: what its story answers, what its sites hold, its ceiling."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.score.statistics import UNDEFINED, Interval


@frozen
class StoryScore:
    """How far the story's answer is the model's own.

    `share` is the share of reference rows on which it is, or, with `numbers`, 1 - mse(story, model) / mse(story,
    model on a random row). `note` says why there is none.
    """

    share: Interval = UNDEFINED
    numbers: bool = False
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        s = self.share
        found: dict[str, Any] = {"value": s.value, "low": s.low, "high": s.high, "numbers": self.numbers}
        return found | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        if self.share.value is None:
            return f"not compared with the model's answers{f': {self.note}' if self.note else ''}"
        whose = "of what the model's answers vary by" if self.numbers else "of the rows"
        return f"its answer is the model's own on {self.share} {whose}"


@frozen
class PartScore:
    """A share that a claim says of one of its parts: what a site holds, a variable's interchange score.

    `note` says why there is none.
    """

    variable: str
    share: Interval
    site: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        s = self.share
        found: dict[str, Any] = {"variable": self.variable, "value": s.value, "low": s.low, "high": s.high}
        return found | ({"site": self.site} if self.site else {}) | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        where = f" at {self.site}" if self.site else ""
        return f"{self.variable}{where} {self.share}{f' ({self.note})' if self.note else ''}"


@frozen
class Ceiling:
    """What noise leaves: the metric where only `noise` is redrawn, which counts as 1.

    `recovered` is the share on the model's own scale.
    """

    noise: tuple[str, ...]
    metric: float
    recovered: Interval

    def to_dict(self) -> dict[str, Any]:
        return {"noise": list(self.noise), "metric": self.metric, "recovered": self.recovered.to_dict()}

    def __str__(self) -> str:
        redrawn = f"with {' and '.join(self.noise)} redrawn the metric is {self.metric:.3f}, which counts as 1 here"
        return f"{redrawn}; on the model's own scale {self.recovered} is recovered"
