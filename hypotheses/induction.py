"""Induction: after `A B ... A` the model answers B (two layers, attention only, trained for this gallery).

Head 0.3 writes at every token what stood before it. At the end, heads 1.0 and 1.2 look for the place whose
previous token is the current one, and copy the token found there.
"""

from scrub import Dataset, Interpretation, claim, embed, heads, logits, recovers
from scrub.zoo import induction_rows

story = Interpretation()


@story.variable
def first(a):  # the token A where it stands first
    return a


@story.variable
def before(first):  # at B, the token after it: what stood before
    return first


@story.variable
def current(a):  # the token at the end, whose successor is asked for
    return a


@story.variable
def found(before, current, b):  # at the end: what followed the current token the last time
    return b if before == current else None


@story.variable
def answer(found):
    return found


def rows():
    return Dataset.from_rows(induction_rows(300, seed=1))


@claim(story, model="zoo:induction", data=rows, metric="loss(b)", expect=recovers(0.8))
def induction():
    return dict(
        first=embed("A1"),
        before=heads("0.3", at="B1").reads(v="first"),
        current=embed("END"),
        b=embed("B1"),
        found=heads("1.0 1.2", at="END").reads(q="current", k="before", v="b"),
        answer=logits("END"),
    )


# Deliberately false: if one of these were not refuted, data and metric could not tell.
wrong_head = induction.but(
    before=heads("0.2", at="B1").reads(v="first"),
).foil("head 0.2 does not write the previous token")

one_head = induction.but(
    found=heads("1.0", at="END").reads(q="current", k="before", v="b"),
).foil("1.0 and 1.2 share the work; one of them does half of it")

no_match = induction.but(
    found=heads("1.0 1.2", at="END").reads(q="current", v="b").omits("before"),
).foil("without the key edge nothing says which place to copy from")
