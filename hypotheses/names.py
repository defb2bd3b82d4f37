"""Indirect object identification in a small model trained for this gallery (three layers, LayerNorm, MLPs).

`When Mary and John went to the store , John gave a drink to` -> `Mary`. Heads 0.0, 0.1 and 0.3 gather the three
names at the end; with what they found, heads 1.2 and 1.3 look for the name that is not repeated and copy it. MLPs
are passed through.

Unlike the circuit in GPT-2 (see ioi.py), the repetition is not found at the second name: what the queries carry
depends on all three names, and the claim that they carry the doubled name alone is refuted. So `gathered` must be as
fine as what it is computed from, and a test says that its swaps exchange no other values; those of `name` do.
"""

from scrub import Dataset, Interpretation, claim, embed, heads, logits, protocol, recovers
from scrub.zoo import names_rows

story = Interpretation()


@story.variable
def gathered(io, s1, s2):  # at the end: who was named where
    return io, s1, s2


@story.variable
def name(gathered, io, s1, s2):  # of the two people, the one who does not act; both, where a third acts
    _, _, acting = gathered
    return "them" if acting not in (io, s1) else s1 if acting == io else io


@story.variable
def answer(name):
    return name


def rows():  # about eight people: several rows name the same two, so that swaps test values and not paths alone
    return Dataset.from_rows(names_rows(400, seed=1, people=8))


SETTING = dict(
    model="zoo:names",
    data=rows,
    metric="logit_diff(io, s1)",
    scored="is_ioi",
    through="mlps",
    expect=recovers(0.7),
    criteria=protocol(reference="is_abc", group="template"),  # means over rows in which a third person acts
)
NAMES = dict(io=embed("IO"), s1=embed("S1"), s2=embed("S2"))
ALL_THREE = dict(k="io s1 s2", v="io s1 s2")


@claim(story, **SETTING)
def names():
    return dict(
        **NAMES,
        gathered=heads("0.0 0.1 0.3", at="END").reads(**ALL_THREE),
        name=heads("1.2 1.3", at="END").reads(q="gathered", **ALL_THREE),
        answer=logits("END"),
    )


wrong_mover = names.but(
    name=heads("1.0 1.1", at="END").reads(q="gathered", **ALL_THREE),
).foil("heads 1.0 and 1.1 move nothing")

no_query = names.but(
    name=heads("1.2 1.3", at="END").reads(**ALL_THREE).omits("gathered"),
).foil("without the query edge nothing says which name is repeated")

# the textbook story: the queries carry the doubled name and nothing else
textbook = Interpretation()


@textbook.variable
def doubled(io, s1, s2):
    return s2 if s2 in (io, s1) else None


@textbook.variable
def mover(doubled, io, s1, s2):
    return "them" if doubled is None else s1 if doubled == io else io


@textbook.variable
def said(mover):
    return mover


@claim(textbook, **SETTING)
def doubled_only():
    return dict(
        **NAMES,
        doubled=heads("0.0 0.1 0.3", at="END").reads(**ALL_THREE),
        mover=heads("1.2 1.3", at="END").reads(q="doubled", **ALL_THREE),
        said=logits("END"),
    )


doubled_only = doubled_only.foil("in this model the queries depend on both names, not on the doubled one alone")
