"""scrub: test an explanation of a neural network instead of believing it.

A hypothesis says what a circuit computes and where in the model each step lives; `scrub.test` swaps everything
that the hypothesis allows to be swapped, all at once, and says with an interval how much of the model's
performance survives. See `docs/` for the idea, and `hypotheses/` for claims to start from.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from scrub.storage.version import VERSION

if TYPE_CHECKING:
    from scrub.circuit.circuit import Circuit as Circuit
    from scrub.claims.check import Checked as Checked
    from scrub.claims.coded import Dictionary as Dictionary
    from scrub.claims.coded import directions as directions
    from scrub.claims.coded import latents as latents
    from scrub.claims.dataset import Dataset as Dataset
    from scrub.claims.hypothesis import Hypothesis as Hypothesis
    from scrub.claims.hypothesis import claim as claim
    from scrub.claims.hypothesis import recovers as recovers
    from scrub.claims.hypothesis import together as together
    from scrub.claims.interpretation import Interpretation as Interpretation
    from scrub.claims.metric import Metric as Metric
    from scrub.claims.problems import Problem as Problem
    from scrub.claims.protocol import protocol as protocol
    from scrub.claims.sites import attn as attn
    from scrub.claims.sites import embed as embed
    from scrub.claims.sites import heads as heads
    from scrub.claims.sites import inside as inside
    from scrub.claims.sites import keys as keys
    from scrub.claims.sites import logits as logits
    from scrub.claims.sites import mlps as mlps
    from scrub.claims.sites import neurons as neurons
    from scrub.claims.sites import nodes as nodes
    from scrub.claims.sites import pos as pos
    from scrub.claims.sites import queries as queries
    from scrub.claims.sites import resid as resid
    from scrub.claims.sites import values as values
    from scrub.claims.thaw import thaw as thaw
    from scrub.errors import ScrubError as ScrubError
    from scrub.model.resolve import check as check
    from scrub.verbs import fit as fit
    from scrub.verbs.compare import compare as compare
    from scrub.verbs.cpr_cmd import cpr_cmd as cpr_cmd
    from scrub.verbs.criteria import criteria as criteria
    from scrub.verbs.diff import diff as diff
    from scrub.verbs.explain import explain as explain
    from scrub.verbs.freeze import freeze as freeze
    from scrub.verbs.grow import grow as grow
    from scrub.verbs.interchange import interchange as interchange
    from scrub.verbs.load import load as load
    from scrub.verbs.patch_paths import patch_paths as patch_paths
    from scrub.verbs.plan import plan as plan
    from scrub.verbs.power import power as power
    from scrub.verbs.propose import propose as propose
    from scrub.verbs.run_circuit import run_circuit as run_circuit
    from scrub.verbs.save import save as save
    from scrub.verbs.shrink import shrink as shrink
    from scrub.verbs.sweep import sweep as sweep
    from scrub.verbs.test import test as test
    from scrub.verbs.views import views as views

__version__ = VERSION

# A name is imported when it is asked for: `scrub list` need not wait for what tests take.
# What claims are written with, which `from scrub import *` gives, too:
_CLAIMS = {
    "attn": "scrub.claims.sites",
    "claim": "scrub.claims.hypothesis",
    "Dataset": "scrub.claims.dataset",
    "Dictionary": "scrub.claims.coded",
    "directions": "scrub.claims.coded",
    "embed": "scrub.claims.sites",
    "heads": "scrub.claims.sites",
    "Hypothesis": "scrub.claims.hypothesis",
    "inside": "scrub.claims.sites",
    "Interpretation": "scrub.claims.interpretation",
    "keys": "scrub.claims.sites",
    "latents": "scrub.claims.coded",
    "logits": "scrub.claims.sites",
    "Metric": "scrub.claims.metric",
    "mlps": "scrub.claims.sites",
    "neurons": "scrub.claims.sites",
    "nodes": "scrub.claims.sites",
    "pos": "scrub.claims.sites",
    "Problem": "scrub.claims.problems",
    "protocol": "scrub.claims.protocol",
    "queries": "scrub.claims.sites",
    "recovers": "scrub.claims.hypothesis",
    "resid": "scrub.claims.sites",
    "ScrubError": "scrub.errors",
    "together": "scrub.claims.hypothesis",
    "values": "scrub.claims.sites",
}
_NAMES = _CLAIMS | {
    "check": "scrub.model.resolve",
    "Checked": "scrub.claims.check",
    "Circuit": "scrub.circuit.circuit",
    "compare": "scrub.verbs.compare",
    "cpr_cmd": "scrub.verbs.cpr_cmd",
    "criteria": "scrub.verbs.criteria",
    "diff": "scrub.verbs.diff",
    "explain": "scrub.verbs.explain",
    "freeze": "scrub.verbs.freeze",
    "grow": "scrub.verbs.grow",
    "interchange": "scrub.verbs.interchange",
    "load": "scrub.verbs.load",
    "patch_paths": "scrub.verbs.patch_paths",
    "plan": "scrub.verbs.plan",
    "power": "scrub.verbs.power",
    "propose": "scrub.verbs.propose",
    "run_circuit": "scrub.verbs.run_circuit",
    "save": "scrub.verbs.save",
    "shrink": "scrub.verbs.shrink",
    "sweep": "scrub.verbs.sweep",
    "test": "scrub.verbs.test",
    "thaw": "scrub.claims.thaw",
    "views": "scrub.verbs.views",
}
_MODULES = {"fit": "scrub.verbs.fit"}  # names that are modules: `scrub.fit.das(...)`
__all__ = [*_CLAIMS]  # pyright: ignore[reportUnsupportedDunderAll]
_RESERVED = ("estimate",)  # this name exists and says that it is not built yet


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _RESERVED:
        return getattr(import_module("scrub.claims.sites"), name)
    raise AttributeError(f"module 'scrub' has no attribute {name!r}")


def __dir__() -> list[str]:
    own = {name for name in globals() if name[:1] != "_" or name[:2] == "__"}
    return sorted({*own, *_NAMES, *_MODULES})
