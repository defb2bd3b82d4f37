"""The scores of a claim on the rows of each of its sub-skills: the same samples, some of the rows."""

from __future__ import annotations

from attrs import evolve

from scrub.claims.skills import rows_of_skill
from scrub.score.result import Result, Unexplained, gap, ratio
from scrub.score.sample import ClaimBench, Samples
from scrub.score.skill_score import SkillScore
from scrub.score.spoken import StoryScore
from scrub.score.statistics import UNDEFINED, interval
from scrub.score.story import story_score
from scrub.score.verdict import nothing_to_recover


def with_skills(bench: ClaimBench, samples: Samples, result: Result) -> Result:
    """A result with every score for each skill of the claim; nothing is run anew but the story's answers."""
    found = (_on(bench, samples, name, result) for name in bench.claim.options.skills)
    return evolve(result, skills=tuple(found))


def _on(bench: ClaimBench, samples: Samples, skill: str, result: Result) -> SkillScore:
    marked = rows_of_skill(bench.claim, skill, samples.references)
    columns, rows = samples.columns[marked], samples.references[marked]
    if not len(rows):  # of a seeded subset
        return SkillScore(skill, 0, UNDEFINED, None, StoryScore(), "no reference row has it.")
    nothing = nothing_to_recover(interval(columns, gap, result.seed), bench.claim.metric.better, len(rows))
    share = UNDEFINED if nothing else interval(columns, ratio, result.seed)
    explained = Unexplained.of(*columns[:, 3:5].mean(0).tolist()).explained
    story = story_score(bench, rows, bench.measured.tokenizer, result.seed, result.draws)
    return SkillScore(skill, len(rows), share, explained, story, nothing or "")
