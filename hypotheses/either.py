"""A compiled model with a spare: two heads do the same work, and either of them suffices (an OR).

As in compose.py, the model looks up the value after the key that is asked for. Heads 0.0 and 0.1 both write at the
end what is asked for, head 0.2 writes at each value which key stands before it, and head 1.0 finds the value where
the two agree. One match is as good as two: 1.0 attends to the same place, exactly, with either head alone.

Faithfulness cannot see the spare. A claim that names 0.0 and forgets 0.1 gives 0.1 the value of another row, or its
mean over rows, and still recovers everything: 0.0 suffices, and the key of another row is not there to be found.
Completeness sees it: take 0.0 out of that smaller circuit, and it fails; take 0.0 out of the model, and nothing
happens, since 0.1 is there. And each head looks superfluous while the other stays: what they do shows without both.
"""

from scrub import Dataset, Interpretation, claim, embed, heads, logits, recovers
from scrub.zoo import compiled_or_rows

story = Interpretation()


@story.variable
def wanted(asked):  # at the end: the key that is asked for
    return asked.upper()


@story.variable
def label(key):  # at the value: the key before it
    return key


@story.variable
def lookup(wanted, label, value):
    return value if wanted == label else None


@story.variable
def answer(lookup):
    return lookup


def rows():
    return Dataset.from_rows(compiled_or_rows(300, seed=1))


@claim(story, model="zoo:compiled-or", data=rows, metric="loss(value)", expect=recovers(0.99))
def either():
    return dict(
        asked=embed("ASK"),
        key=embed("KEY"),
        value=embed("VALUE"),
        wanted=heads("0.0 0.1", at="END").reads(v="asked"),
        label=heads("0.2", at="VALUE").reads(v="key"),
        lookup=heads("1.0", at="END").reads(q="wanted", k="label", v="value"),
        answer=logits("END"),
    )


neither = either.but(
    lookup=heads("1.0", at="END").reads(k="label", v="value").omits("wanted"),
).foil("one of the two heads suffices, none does not")

no_label = either.but(
    lookup=heads("1.0", at="END").reads(q="wanted", v="value").omits("label"),
).foil("the key side has no spare: without head 0.2 nothing is found")
