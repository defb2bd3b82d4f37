"""A compiled model whose circuit is exactly known: a query-side and a key-side path meet in one head.

Head 0.1 writes at the end what is asked for, head 0.0 writes at each value which key stands before it; head 1.0 finds
the value whose key was asked for. The weights are set by hand, so the true claim recovers everything.
"""

from scrub import Dataset, Interpretation, claim, embed, heads, logits, recovers
from scrub.zoo import compiled_compose_rows

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
    return Dataset.from_rows(compiled_compose_rows(300, seed=1))


@claim(story, model="zoo:compiled-compose", data=rows, metric="loss(value)", expect=recovers(0.99))
def compose():
    return dict(
        asked=embed("ASK"),
        key=embed("KEY"),
        value=embed("VALUE"),
        wanted=heads("0.1", at="END").reads(v="asked"),
        label=heads("0.0", at="VALUE").reads(v="key"),
        lookup=heads("1.0", at="END").reads(q="wanted", k="label", v="value"),
        answer=logits("END"),
    )


no_query = compose.but(
    lookup=heads("1.0", at="END").reads(k="label", v="value").omits("wanted"),
).foil("the query side matters")

no_key = compose.but(
    lookup=heads("1.0", at="END").reads(q="wanted", v="value").omits("label"),
).foil("the key side matters")
