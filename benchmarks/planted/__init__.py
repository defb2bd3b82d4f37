"""Models with planted circuits: what each computes, and where, is known because this package put it there.

`benchmarks/truth.py` tests true claims about them, and every claim that differs from a true one in one thing. The
package is shared by that command and by `tests/test_truth.py`, which put `benchmarks/` on their path; it is no
part of `scrub`, which users install.

    told       a claim as plain data, of which one thing can be changed
    weights    heads and lookups written into the weights of a transformer
    sketch     steps of a program, placed in layers; programs: random ones
    textbook   induction whose queries hold more than the textbook says
    graphs     random computation graphs
    gallery    the models of the zoo, with the claims in hypotheses/
    changes    all changes of one thing
    judging    what a changed claim deserves, what it got
"""
