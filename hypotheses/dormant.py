"""A compiled model with a dormant pathway: a direction that moves the answer, and that the model does not use.

MLP 1 writes what the answer reads, along one dimension. MLP 0 writes the same where nobody reads; along another
dimension the answer would listen, but nobody ever writes there. The direction between these two looks like a find:
whoever patches it moves the answer as if the model kept its bit there, since a swap puts into the dormant dimension
what the idle one tells apart (A. Makelov, G. Lange and N. Nanda, "Is This the Subspace You Are Looking for?", 2023).

Scrubbing supports it, shuffled values and random directions say nothing against it. The tied control does: where the
rest of MLP 0 comes from the same row, as it may, the two parts cancel, and nothing is left.
"""

import numpy as np

from scrub import Dataset, Interpretation, claim, directions, logits, mlps, recovers
from scrub.zoo import compiled_dormant_rows

WIDTH, APART, DORMANT, READ = 10, 3, 6, 7  # where MLP 0 writes the first sign; where nobody writes; where MLP 1 does

story = Interpretation()


@story.variable
def sign(x):  # the first of the last word
    return x


@story.variable
def answer(sign):
    return "yes" if sign == "+" else "no"


def rows():
    return Dataset.from_rows(compiled_dormant_rows(100, seed=1))


def along(*dimensions, name):
    return directions(np.eye(WIDTH)[list(dimensions)].sum(0, keepdims=True), name=name)


@claim(story, model="zoo:compiled-dormant", data=rows, metric="logit_diff(label, other)", expect=recovers(0.99))
def true_direction():
    return dict(
        sign=mlps(1, at="END").part(along(READ, name="read")),
        answer=logits("END"),
    )


illusion = true_direction.but(
    sign=mlps(0, at="END").part(along(APART, DORMANT, name="illusion")),
).foil("a direction that nothing reads, added to one that nothing writes, is no place where the model keeps the sign")

unread = true_direction.but(
    sign=mlps(0, at="END").part(along(APART, name="apart")),
).foil("what MLP 0 writes is not read")
