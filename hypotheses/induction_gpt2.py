"""Induction in GPT-2 small: after `A B ... A` the model answers B (Olsson et al. 2022, arXiv 2209.11895).

Head 4.11 writes at every token what stood before it; heads 5.1, 5.5, 6.9, 7.2 and 7.10 look for the place whose
previous token is the current one, and copy what they find there. Wang et al. (2022) name 4.11 a previous-token head
and 5.5 and 6.9 induction heads; the other three match prefixes as well on repeated tokens. MLPs are passed through:
the first of them turns embeddings into what later heads read.

    scrub check hypotheses/induction_gpt2.py --model DIR     GPT-2's config.json and tokenizer suffice
    scrub plan  hypotheses/induction_gpt2.py --model DIR
    scrub test  hypotheses/induction_gpt2.py                 where the weights can be loaded

The same story as induction.py, of a model that nobody trained for it; the words are drawn at random, so that nothing
but the repetition says what follows.
"""

import random

from scrub import Dataset, Interpretation, claim, embed, heads, logits, protocol, recovers

WORDS = """apple river stone cloud horse paper glass music green seven table dream water north quick light
bread chair dance eagle flame grass house juice knife lemon metal night ocean piano queen silver""".split()


def repeated(tokenizer):
    """Words in no order, and one of them again; in a third of the rows it is a new one, so that nothing is found."""
    rng, texts, columns = random.Random(0), [], {"a": [], "b": [], "now": [], "is_repeated": []}
    for number in range(300):
        a, b, other, *rest = (" " + word for word in rng.sample(WORDS, 12))
        is_repeated, cut = number % 3 > 0, rng.randint(2, 6)
        now = a if is_repeated else other
        texts.append("".join([*rest[:cut], f"{{A1|{a}}}{{B1|{b}}}", *rest[cut:], f"{{END|{now}}}"]))
        for name, value in zip(columns, (a, b, now, is_repeated), strict=True):
            columns[name].append(value)
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns, bos=True)


PUBLISHED = """Olsson et al. (2022), argument 3: without induction heads small models learn much less in context.
Causal scrubbing of another model, two layers of attention alone (Goldowsky-Dill et al. 2022): this story explains
35 % of the loss of its induction heads, a wider one 89 %."""

story = Interpretation()


@story.variable
def first(a):  # the token A where it stands first
    return a


@story.variable
def before(first):  # at B, the token after it: what stood before
    return first


@story.variable
def current(now):  # the token at the end, whose successor is asked for
    return now


@story.variable
def found(before, current, b):  # at the end: what followed the current token the last time
    return b if before == current else None


@story.variable
def answer(found):
    return found


@claim(
    story,
    model="gpt2",
    data=repeated,
    metric="loss(b)",
    scored="is_repeated",
    through="mlps",
    expect=recovers(0.8),
    criteria=protocol(published=PUBLISHED),
)
def induction_gpt2():
    """A previous-token head and five induction heads (Olsson et al. 2022)."""
    return dict(
        first=embed("A1"),
        before=heads("4.11", at="B1").reads(v="first"),
        current=embed("END"),
        b=embed("B1"),
        found=heads("5.1 5.5 6.9 7.2 7.10", at="END").reads(q="current", k="before", v="b"),
        answer=logits("END"),
    )


no_match = induction_gpt2.but(
    found=heads("5.1 5.5 6.9 7.2 7.10", at="END").reads(q="current", v="b").omits("before"),
).foil("without the key edge nothing says which place to copy from")

late_heads = induction_gpt2.but(
    found=heads("9.6 9.9 10.0", at="END").reads(q="current", k="before", v="b"),
).foil("these move names in indirect object identification: they do not find the repetition")
