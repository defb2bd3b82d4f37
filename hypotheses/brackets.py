"""Balanced parentheses: a bidirectional model says at its first position whether a string is balanced.

Layer 0 leaves evidence over the positions: do the counts agree, and does the depth ever fall below zero? Head 1.0
gathers both at the start and decides.
"""

from scrub import Dataset, Interpretation, claim, heads, inside, logits, recovers, resid
from scrub.zoo import brackets_rows

story = Interpretation()


@story.variable
def evidence(count_ok, never_negative):  # as many "(" as ")"; no ")" before its "("
    return count_ok, never_negative


@story.variable
def both(evidence):
    return all(evidence)


@story.variable
def decision(both):
    return both


@story.variable
def answer(decision):
    return "yes" if decision else "no"


def rows():
    return Dataset.from_rows(brackets_rows(400, seed=1))


@claim(story, model="zoo:brackets", data=rows, metric="loss(label)", within="length", expect=recovers(0.9))
def brackets():
    return dict(
        evidence=resid(1, at="all"),
        both=inside,
        decision=heads("1.0", at="START").reads(k="evidence", v="evidence"),
        answer=logits("START"),
    )


wrong_head = brackets.but(
    decision=heads("1.1", at="START").reads(k="evidence", v="evidence"),
).foil("head 1.1 does not decide")

no_values = brackets.but(
    decision=heads("1.0", at="START").reads(k="evidence"),
).foil("where head 1.0 looks is not enough: what it finds there matters")

# the same sites with half of the story: equal counts alone
counting = Interpretation()


@counting.variable
def counted(count_ok):
    return count_ok


@counting.variable
def decided(counted):
    return counted


@counting.variable
def said(decided):
    return "yes" if decided else "no"


@claim(counting, model="zoo:brackets", data=rows, metric="loss(label)", within="length", expect=recovers(0.9))
def count_only():
    return dict(
        counted=resid(1, at="all"),
        decided=heads("1.0", at="START").reads(k="counted", v="counted"),
        said=logits("START"),
    )


count_only = count_only.foil('equal counts are not enough: ")(" has them')
