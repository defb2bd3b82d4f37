"""Addition modulo 59 by waves: numbers are points on three circles, which heads bring together and the MLP turns.

As N. Nanda et al. found in a model of this kind ("Progress measures for grokking via mechanistic interpretability",
2023, section 4). This one (examples/train_addition.py) uses the frequencies 16, 14 and 5: of the 64 dimensions of the
embedding those six matter along which cosines and sines of a number go, of what the heads write at the end the twelve
of both numbers', and of what the MLP writes the six of the sum's, which alone the answer reads. All of it is tested
on pairs that the model was not trained on, without those on which `scrub.fit.fourier` found the directions
(examples/fit_addition.py makes the files beside this one).

A pair of numbers stands in few rows, so that what the heads write is seldom another row's: what is claimed is that
the rest of it, and of the embeddings that they read, may be any other's.
"""

from pathlib import Path

from scrub import Dataset, Interpretation, attn, claim, directions, embed, logits, mlps, recovers
from scrub.zoo import addition_rows
from scrub.zoo.words import MODULUS

story = Interpretation()


@story.variable
def first(a):
    return a


@story.variable
def second(b):
    return b


@story.variable
def gathered(first, second):  # at the end: which two numbers
    return first, second


@story.variable
def total(gathered):
    return sum(gathered) % MODULUS


@story.variable
def answer(total):
    return str(total)


def rows():
    return Dataset.from_rows([row for row in addition_rows(1500, seed=1) if not row["columns"]["trained"]])


def waves(what):
    """The directions of a file beside this one."""
    return directions(Path(__file__).with_name(f"addition_{what}.safetensors"), name=what)


def numbers(what):
    return dict(first=embed("A").part(waves(what)), second=embed("B").part(waves(what)))


SETTING = dict(model="zoo:addition", data=rows, metric="accuracy(label)", expect=recovers(0.9))
HEADS, MLP = attn(0, at="END"), mlps(0, at="END")
BOTH = dict(k="first second", v="first second")
END = dict(answer=logits("END"))


@claim(story, **SETTING)
def numbers_by_waves():
    return numbers("number") | dict(gathered=HEADS.reads(**BOTH), total=MLP.reads(input="gathered")) | END


other_frequencies = numbers_by_waves.but(**numbers("number_others")).foil("it is these waves that are read, not any")


@claim(story, **SETTING)
def all_by_waves():
    brought = dict(gathered=HEADS.part(waves("numbers")).reads(**BOTH))
    return numbers("number") | brought | dict(total=MLP.part(waves("sum")).reads(input="gathered")) | END


one_number = all_by_waves.but(
    gathered=HEADS.part(waves("first")).reads(**BOTH),
).foil("heads bring the waves of both numbers")
two_of_the_sum = all_by_waves.but(
    total=MLP.part(waves("sum_two")).reads(input="gathered"),
).foil("the answer is read from all three circles")
