"""A feature circuit: latents of a small dictionary, each of which says of one person that they are to be named.

The model of names.py, on prompts with five people. Head 1.2 brings the name that is not repeated to the end. Of the
stream behind it a dictionary of 48 latents was trained, on rows that the claims do not score
(examples/fit_names_latents.py makes it). One of them for each person is active where that person is the answer, and
these five recover nearly what the whole stream does; the dictionary's error and the other latents, twenty-six of
which are active too, come from any other row.
"""

from pathlib import Path

from scrub import Dataset, Interpretation, claim, embed, heads, latents, logits, recovers, resid
from scrub.zoo import names_rows

DICTIONARY = Path(__file__).with_name("names_dictionary")
LATENTS = dict(mary="4", john="42", anna="47", tom="6", lucy="7")
ALL_THREE = dict(k="io s1 s2", v="io s1 s2")

story = Interpretation()


@story.variable
def gathered(io, s1, s2):  # at the end: who was named where
    return io, s1, s2


@story.variable
def name(gathered, io, s1, s2):  # of the two people, the one who does not act; both, where a third acts
    _, _, acting = gathered
    return "them" if acting not in (io, s1) else s1 if acting == io else io


@story.variable
def said(name, gathered):  # which of the five latents is active; they read what was gathered beside the name
    return name


@story.variable
def answer(said):
    return said


def rows():
    return Dataset.from_rows(names_rows(600, seed=1, people=len(LATENTS)))


def at_the_end(numbers):
    return resid(2, at="END").part(latents(DICTIONARY, numbers)).reads(input="name gathered")


SETTING = dict(
    model="zoo:names",
    data=rows,
    metric="logit_diff(io, s1)",
    scored="is_ioi",
    through="mlps",
    expect=recovers(0.35),
)
CIRCUIT = dict(
    io=embed("IO"),
    s1=embed("S1"),
    s2=embed("S2"),
    gathered=heads("0.0 0.1 0.3", at="END").reads(**ALL_THREE),
    name=heads("1.2", at="END").reads(q="gathered", **ALL_THREE),
    answer=logits("END"),
)


@claim(story, **SETTING)
def one_for_each():
    return CIRCUIT | dict(said=at_the_end(" ".join(LATENTS.values())))


others = one_for_each.but(
    said=at_the_end("37 38 5 20 43"),
).foil("latents that are active beside them do not carry the name")
