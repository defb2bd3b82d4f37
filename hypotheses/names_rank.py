"""A low-rank claim: the keys of a mover head differ along two of their sixteen dimensions (the model of names.py).

Head 1.2 finds at the end the name that is not repeated. Of its keys at the three names, what two directions hold is
enough, and what the other fourteen hold is not needed; of its values two directions are not enough: names are copied
from five or more. The directions are the widest, by `scrub.fit.pca` on a hundred rows that the claims do not score;
examples/fit_names_keys.py makes the files beside this one. Of its queries three directions vary at all, and all
three are needed: a rank of two keeps three quarters, no more than random two of these three do.
"""

from pathlib import Path

from scrub import Dataset, Interpretation, claim, directions, embed, heads, keys, logits, recovers, values
from scrub.zoo import names_rows

FOUND = {what: Path(__file__).with_name(f"names_rank_{what}.safetensors") for what in ("keys", "others", "values")}
ALL_THREE = dict(k="io s1 s2", v="io s1 s2")
NAMES = dict(io=embed("IO"), s1=embed("S1"), s2=embed("S2"))

story = Interpretation()


@story.variable
def gathered(io, s1, s2):  # at the end: who was named where
    return io, s1, s2


@story.variable
def at_io(io):  # what head 1.2 finds at the first person
    return io


@story.variable
def at_s1(s1):
    return s1


@story.variable
def at_s2(s2):
    return s2


@story.variable
def name(gathered, at_io, at_s1, at_s2, io, s1, s2):
    _, _, acting = gathered
    return "them" if acting not in (at_io, at_s1) else s1 if acting == at_io else io


@story.variable
def answer(name):
    return name


def rows():
    return Dataset.from_rows(names_rows(400, seed=1, people=8))


def found(channel, *part):
    """The keys, or the values, of head 1.2 at the three names; or a part of them."""
    sites = {f"at_{at.lower()}": channel("1.2", at=at) for at in ("IO", "S1", "S2")}
    return {at: (site.part(*part) if part else site).reads(input=at[3:]) for at, site in sites.items()}


SETTING = dict(
    model="zoo:names",
    data=rows,
    metric="logit_diff(io, s1)",
    scored="is_ioi",
    through="mlps",
    expect=recovers(0.7),
)


def rest(**read):
    return dict(
        **NAMES,
        gathered=heads("0.0 0.1 0.3", at="END").reads(**ALL_THREE),
        name=[
            heads("1.2", at="END").reads(q="gathered", **{**ALL_THREE, **read}),
            heads("1.3", at="END").reads(q="gathered", **ALL_THREE),
        ],
        answer=logits("END"),
    )


@claim(story, **SETTING)
def two_of_the_keys():
    return rest(k="at_io at_s1 at_s2") | found(keys, directions(FOUND["keys"], name="two"))


others = two_of_the_keys.but(**found(keys, directions(FOUND["others"], name="others"))).foil(
    "the other fourteen directions tell names apart less well"
)


@claim(story, **SETTING)
def two_of_the_values():
    return rest(v="at_io at_s1 at_s2") | found(values, directions(FOUND["values"], name="two"))


two_of_the_values = two_of_the_values.foil("what is copied takes more directions than what is looked for")
