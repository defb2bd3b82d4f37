'''Docstrings in a four-layer model of attention alone: the circuit of Heimersheim and Janiak (2023), first figure.

    def port(self, load, size, files, last):
        """oil column piece

        :param load: crime population
        :param size: unit dark
        :param            -> ` files`

Head 1.4 carries the name B to the comma after it, and 2.0 from there to C, the argument that follows. At the end,
1.4 brings the name that was explained last; 3.0 and 3.6 look for the argument that stands after it, and copy it. Head
0.5 rewrites names where they stand, and is passed through. The edges are those that Heimersheim wrote down for ACDC,
the positions those of auto-circuit (Miller et al. 2024); heads 0.2, 0.4 and 1.2 of the eight are not claimed.

    scrub check hypotheses/docstring.py --model DIR     a directory with the model's shape and a tokenizer suffices
    scrub plan  hypotheses/docstring.py --model DIR
    scrub test  hypotheses/docstring.py                 where the weights can be loaded: TransformerLens' attn-only-4l
'''

import random

from scrub import Dataset, Interpretation, claim, embed, heads, logits, protocol, recovers

ARGUMENTS = """data name file value test result line user key path output node item url model text function log field
start number values index error image message check size event state""".split()
WORDS = "price control action cost issue process course minute education research girl age father force".split()


def methods(tokenizer):
    """In two thirds of the rows the docstring explains the arguments in order, in the others it names strangers."""
    rng, texts = random.Random(0), []
    columns = {"b": [], "c": [], "doc": [], "others": [], "is_docstring": []}
    for number in range(300):
        f, *names = rng.sample(ARGUMENTS, 9)
        x, y, a, b, c, z, *strangers = (" " + name for name in names)
        is_docstring = number % 3 > 0
        first, second = (a, b) if is_docstring else strangers
        w = rng.sample(WORDS, 7)
        texts.append(
            f"\ndef {f}(self,{x},{y},{a},{{B|{b}}}{{COMMA|,}}{{C|{c}}},{z}):"
            f'\n    """{w[0]} {w[1]} {w[2]}\n\n    :param{first}: {w[3]} {w[4]}'
            f"\n    :param{{DOC|{second}}}: {w[5]} {w[6]}\n    :{{END|param}}"
        )
        for name, value in zip(columns, (b, c, second, (x, y, a, b, z), is_docstring), strict=True):
            columns[name].append(value)
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns, bos=True)


PUBLISHED = """Heimersheim and Janiak (2023): the model prefers the right argument to every other in 56 % of
prompts, the circuit of eight heads in 42 %, with three more heads in 58 %; in the authors' words it recovers up to
half of the model's performance."""

story = Interpretation()


@story.variable
def carried(b):  # at the comma after B: the name B
    return b


@story.variable
def before(carried):  # at C: the argument that stands before it
    return carried


@story.variable
def asked(doc):  # at the end: the name that was explained last
    return doc


@story.variable
def found(asked, before, c):  # at the end: the argument that follows it
    return c if asked == before else None


@story.variable
def answer(found):
    return found


@claim(
    story,
    model="attn-only-4l",
    data=methods,
    metric="logit_diff(c, max(others))",
    scored="is_docstring",
    through="0.5",
    expect=recovers(0.5),
    criteria=protocol(published=PUBLISHED),
)
def docstring():
    """Two names meet in the argument movers 3.0 and 3.6 (Heimersheim and Janiak 2023, first figure)."""
    return dict(
        b=embed("B"),
        c=embed("C"),
        doc=embed("DOC"),
        carried=heads("1.4", at="COMMA").reads(v="b"),
        before=heads("2.0", at="C").reads(v="carried"),
        asked=heads("1.4", at="END").reads(v="doc"),
        found=heads("3.0 3.6", at="END").reads(q="asked", k="before", v="c"),
        answer=logits("END"),
    )


one_mover = docstring.but(
    found=heads("3.0", at="END").reads(q="asked", k="before", v="c"),
).foil("3.0 and 3.6 share the work")

no_line = docstring.but(
    found=heads("3.0 3.6", at="END").reads(k="before", v="c").omits("asked"),
).foil("without the query edge nothing says which argument comes next")
