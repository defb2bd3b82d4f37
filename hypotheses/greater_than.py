"""Greater-than in GPT-2 small: the circuit of Hanna, Liu and Variengien (2023), arXiv 2305.00586, section 3.

`The war lasted from the year 1732 to the year 17` -> `33` or any later year of the century. Where the start year
stands, three heads and MLPs 0 to 3 prepare its two digits; seven heads bring them to the end, and MLPs 8 to 11 raise
the years that are greater. The heads are those of the authors' published code (circuit_discovery.py).

    scrub check hypotheses/greater_than.py --model DIR     a directory with GPT-2's config.json and tokenizer suffices
    scrub plan  hypotheses/greater_than.py --model DIR
    scrub test  hypotheses/greater_than.py                 where the weights can be loaded

Half of the rows begin in the year 01, as the paper's second data set does: the rest of a swap comes from them.
"""

import random

from scrub import Dataset, Interpretation, claim, embed, heads, logits, mlps, protocol, recovers

NOUNS = "war treaty siege voyage dynasty reign plague trial tour study friendship project rivalry raids".split()


def prompts(tokenizer):
    """Years from 1100 to 1899 that are two tokens, a century and two digits; each with the same prompt from 01 on."""
    rng, rows = random.Random(0), []
    for yy in (f"{n:02}" for n in range(2, 99, 4)):  # each in four centuries, so that swaps have partners
        there = [xx for xx in range(11, 19) if two_tokens(f"{xx}{yy}", tokenizer)]
        for xx in rng.sample(there, 4):
            noun = rng.choice(NOUNS)
            rows += [(noun, xx, yy, True), (noun, xx, "01", False)]
    columns = {
        "yy": [yy for _, _, yy, _ in rows],
        "above": [later(yy) for _, _, yy, _ in rows],
        "upto": [tuple(f"{n:02}" for n in range(int(yy) + 1)) for _, _, yy, _ in rows],
        "is_year": [is_year for *_, is_year in rows],
        "is_01": [not is_year for *_, is_year in rows],
        "partner": [number ^ 1 for number in range(len(rows))],
    }
    texts = [f"The {n} lasted from the year {xx}{{YY|{yy}}} to the year{{END| {xx}}}" for n, xx, yy, _ in rows]
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns)


def two_tokens(year, tokenizer):
    return tokenizer.encode(f" {year}", add_special_tokens=False).tokens[1:] == [year[2:]]


def later(yy):
    return tuple(f"{n:02}" for n in range(int(yy) + 1, 100))


PUBLISHED = """Hanna et al. (2023): how much more probable later years are than the others, 81.7 % in the model, with
a cutoff sharpness of 5.9 %. Conmy et al. (2023), appendix G, on 100 prompts: 84 % in the model, 72 % in the circuit,
KL 0.078. Li and Janson (2024) and Shi et al. (2024) find that it is not minimal."""

story = Interpretation()


@story.variable
def start(yy):  # where the start year stands: its two digits
    return yy


@story.variable
def bound(start):  # at the end: the year that is to be exceeded
    return start


@story.variable
def greater(bound):  # at the end: the years that exceed it
    return later(bound)


@story.variable
def answer(greater, bound):
    return greater


@claim(
    story,
    model="gpt2",
    data=prompts,
    metric="prob_diff(above, upto)",
    scored="is_year",
    rest_rows="is_01",
    expect=recovers(0.8),
    criteria=protocol(ablation="paired", pair="partner", published=PUBLISHED),
)
def greater_than():
    """Seven heads and eight MLPs, with three heads below them (Hanna et al. 2023, section 3)."""
    moves = heads("5.1 5.5 6.9 7.10 8.8 8.11 9.1", at="END")
    return dict(
        yy=embed("YY"),
        start=[
            heads("0.1 0.3 0.5", at="YY").reads(k="yy", v="yy"),
            mlps("0 1 2 3", at="YY").linked().reads(input="yy"),
        ],
        bound=moves.reads(k="start", v="start"),
        greater=mlps("8 9 10 11", at="END").linked().reads(input="bound"),
        answer=logits("END"),
    )


one_head = greater_than.but(
    bound=heads("5.1", at="END").reads(k="start", v="start"),
).foil("one of the seven heads that bring the year to the end")

one_mlp = greater_than.but(
    greater=mlps("8", at="END").reads(input="bound"),
).foil("one of the four MLPs that raise later years")
