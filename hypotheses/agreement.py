"""Subject-verb agreement in Gemma 2B: the claim of Ferrando and Costa-jussà (2024), arXiv 2410.06496.

`The ministers that hurt the athlete` -> ` were`, ` are` or ` have`, whatever the number of the noun between. One
head, 13.7, writes the number of the subject at the last position, and the MLPs from there on read it. The words and
the form of the sentences are those of the authors' published data.

    scrub check hypotheses/agreement.py --model DIR     a directory with Gemma 2B's config.json and tokenizer suffices
    scrub plan  hypotheses/agreement.py --model DIR
    scrub test  hypotheses/agreement.py --model DIR     where the weights can be loaded

How the number comes to the head is not claimed: `subject` is a leaf, and all below 13.7 runs on the donor.
"""

import random

from scrub import Dataset, Interpretation, claim, heads, logits, protocol, recovers

NOUNS = "senator customer manager athlete minister clerk pilot teacher executive farmer author guard actor".split()
VERBS = "hurt liked admired hated ignored injured".split()
SINGULAR, PLURAL = (" is", " was", " has"), (" are", " were", " have")


def sentences(tokenizer):
    rng, texts, columns = random.Random(0), [], {"number": [], "between": [], "right": [], "wrong": []}
    for row in range(200):
        numbers = ("singular", "plural")[row % 2], rng.choice(("singular", "plural"))
        endings = ["s" * (number == "plural") for number in numbers]
        subject, other = (" " + noun + s for noun, s in zip(rng.sample(NOUNS, 2), endings, strict=True))
        texts.append(f"The{subject} that {rng.choice(VERBS)} the{{END|{other}}}")
        answers = (SINGULAR, PLURAL) if numbers[0] == "singular" else (PLURAL, SINGULAR)
        for name, value in zip(columns, (*numbers, *answers), strict=True):
            columns[name].append(value)
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns, bos=True)


PUBLISHED = """Ferrando and Costa-jussà (2024), on English and Spanish sentences, in the authors' notebook
DLA_attn_maps: the logit difference that the stream holds at the end is 0.07 before layer 13, 0.51 after its
attention, 1.29 after its MLP, and 3.14 after the last layer."""

story = Interpretation()


@story.variable
def subject(number):  # at the end: the number of the subject
    return number


@story.variable
def answer(subject):
    return SINGULAR if subject == "singular" else PLURAL


@claim(
    story,
    model="google/gemma-2b",
    data=sentences,
    metric="logit_diff(right, wrong)",
    through="mlps 13-17",
    expect=recovers(0.5),
    criteria=protocol(published=PUBLISHED, upstream="keep"),
)
def agreement():
    """One head writes the number of the subject (Ferrando and Costa-jussà 2024)."""
    return dict(subject=heads("13.7", at="END"), answer=logits("END"))


another_head = agreement.but(
    subject=heads("13.6", at="END"),
).foil("another head of the same layer")

nearest_noun = Interpretation()


@nearest_noun.variable
def last(between):  # at the end: the number of the noun that stands there
    return between


@nearest_noun.variable
def said(last):
    return SINGULAR if last == "singular" else PLURAL


@claim(
    nearest_noun,
    model="google/gemma-2b",
    data=sentences,
    metric="logit_diff(right, wrong)",
    through="mlps 13-17",
    expect=recovers(0.5),
)
def nearest():
    return dict(last=heads("13.7", at="END"), said=logits("END"))


nearest = nearest.foil("the number of the subject is what the head writes, not that of the nearest noun")
