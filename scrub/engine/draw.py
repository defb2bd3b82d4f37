"""Pass 2: rows for every occurrence. A draw depends on (seed, reference row, draw, path, kind), nothing else.

A counter-based hash gives a 64-bit word for each of these; it picks by rank within the class, the pool being in
the order of row digests. So draws do not depend on batch size, row order, declaration order or worker count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import field, frozen
from jaxtyping import Int, UInt64

from scrub.claims.dataset import Dataset
from scrub.claims.resolved import Claim
from scrub.engine.unroll import DONOR, REST, ROOT_PATH, Occurrence, rest_paths

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
Swap = tuple[str, str]  # (the path that a row is drawn by, "rest" or "donor"): one draw, whoever shares it
ROWS = ("resample", "paired")  # the rests that are rows


@frozen(eq=False)
class Calls:
    """Pairs of (reference row, draw) that are evaluated together; arrays of one length M."""

    reference: Int[np.ndarray, " call"]
    draw: Int[np.ndarray, " call"]

    def __len__(self) -> int:
        return len(self.reference)


@frozen(eq=False)
class Drawn:
    """The rows of an occurrence: its own (the donor; the reference at the root) and those of its rest.

    `rest` has one column, or with `rest_scope="input"` one for each channel of each component of the site.
    """

    own: Int[np.ndarray, " call"]
    rest: Int[np.ndarray, "call input"]

    @classmethod
    def joined(cls, trees: Sequence[Mapping[str, Drawn]]) -> dict[str, Drawn]:
        """The rows of several lists of calls of one tree, after one another."""
        return {
            path: cls(
                np.concatenate([drawn[path].own for drawn in trees]),
                np.concatenate([drawn[path].rest for drawn in trees]),
            )
            for path in trees[0]
        }


@frozen(eq=False)
class Classes:
    """Rows by class, in the order in which draws rank them: members of class c are `members[start[c]:][:size[c]]`."""

    code: Int[np.ndarray, " row"]
    members: Int[np.ndarray, " member"]
    start: Int[np.ndarray, " cls"]
    size: Int[np.ndarray, " cls"]

    @classmethod
    def of(cls, data: Dataset, code: Int[np.ndarray, " row"], eligible: np.ndarray | None = None) -> Classes:
        """Classes of the pool; with `eligible`, only those rows can be drawn."""
        ranked = data.order
        if eligible is not None:
            ranked = ranked[eligible[ranked]]
        # Stable, so that within a class members keep the order of digests: a draw does not depend on the order of
        # rows.
        members = ranked[np.argsort(code[ranked], kind="stable")]
        size = np.bincount(code[members], minlength=int(code.max()) + 1)
        return cls(code, members, np.concatenate([[0], np.cumsum(size)[:-1]]), size)

    def pick(self, rows: Int[np.ndarray, " call"], word: UInt64[np.ndarray, " call"]) -> Int[np.ndarray, " call"]:
        """A member of the class of each row, by rank; the row itself where its class is empty."""
        code = self.code[rows]
        size = self.size[code]
        # A multiplication of the upper 32 bits maps them evenly to 0 .. size - 1 (Lemire 2019); a remainder would
        # favour low ranks. Of 32 bits the product fits into 64.
        rank = ((word >> np.uint64(32)) * size.astype(np.uint64)) >> np.uint64(32)
        at = np.minimum(self.start[code] + rank.astype(np.int64), len(self.members) - 1)
        return np.where(size > 0, self.members[at], rows)


def words(data: Dataset, calls: Calls, seed: int, path: str, kind: str) -> UInt64[np.ndarray, " call"]:
    """64 bits a call, uniform and independent between paths, kinds, draws and reference rows."""
    # A hash of its own, not Python's: that of strings differs from process to process.
    tag = hashlib.blake2b(f"{seed}|{kind}|{path}".encode(), digest_size=8).digest()
    key = np.uint64(int.from_bytes(tag, "little"))
    with np.errstate(over="ignore"):
        # Mixed twice: the sum of row and draw alone would give row 1, draw 2 the word of another row and draw.
        row = _mix(data.identities[calls.reference] + key)
        return _mix(row + (calls.draw.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def _mix(z: UInt64[np.ndarray, " call"]) -> UInt64[np.ndarray, " call"]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014, figure 15 and Stafford's variant 13)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@frozen(eq=False, slots=False)
class Draws:
    """Draws for a claim with a seed. `made` restricts the swaps; a swap left out uses the calling row itself."""

    claim: Claim
    seed: int
    made: Container[Swap] | None = None
    # kept by the variables on which rows agree, for this claim
    _known: dict[tuple[str, ...], Classes] = field(factory=dict[tuple[str, ...], Classes], init=False, repr=False)

    def classes(self, agree: tuple[str, ...]) -> Classes:
        """The classes within which donors that agree on these variables are drawn."""
        if agree not in self._known:
            self._known[agree] = Classes.of(self.claim.data, self.claim.classes(agree))
        return self._known[agree]

    @cached_property
    def rests(self) -> Classes:
        """The rest rows of each stratum."""
        return Classes.of(self.claim.data, self.claim.stratum, self.claim.rest_from)

    def tree(self, root: Occurrence, calls: Calls) -> dict[str, Drawn]:
        """Rows for every occurrence of the tree, by path."""
        return self.trees((root,), calls)

    def trees(self, roots: Iterable[Occurrence], calls: Calls) -> dict[str, Drawn]:
        """Rows for every occurrence of trees whose equal paths are equal occurrences, called for equal rows."""
        found: dict[str, Drawn] = {}
        for root in roots:
            self._visit(root, calls, calls.reference, found)
        return found

    def _visit(self, node: Occurrence, calls: Calls, own: Int[np.ndarray, " call"], found: dict[str, Drawn]) -> None:
        # Trees that share a path share the occurrence: it is drawn once for all of them.
        if node.path in found:
            return
        found[node.path] = Drawn(own, own[:, None] if node.leaf else self.rest(node, calls, own))
        for child in node.children:
            donor = own
            if DONOR not in child.own and self._swapped(child.donor, DONOR):
                word = words(self.claim.data, calls, self.seed, child.donor, DONOR)
                donor = self.classes(child.agree).pick(own, word)
            self._visit(child, calls, donor, found)

    def rest(self, node: Occurrence, calls: Calls, own: Int[np.ndarray, " call"]) -> Int[np.ndarray, "call input"]:
        """The rest row of each call: also the frame, for `keep`, `mean` and `zero` the row itself."""
        paths = rest_paths(self.claim, node)
        if self.claim.options.rest not in ROWS or REST in node.own:
            return np.repeat(own[:, None], len(paths), axis=1)
        return np.stack([self._rest(calls, own, path) for path in paths], axis=1)

    def _rest(self, calls: Calls, own: Int[np.ndarray, " call"], path: str) -> Int[np.ndarray, " call"]:
        """The rest row drawn by a path; not swapped, the calling row: for the one r of all that is the reference."""
        paired = self.claim.options.rest == "paired"
        if not self._swapped(path, "rest"):
            return calls.reference if self._one_rest and not paired else own
        return self.claim.partner(own) if paired else self.resampled(calls, own, path)

    @property
    def _one_rest(self) -> bool:
        return self.claim.options.rest_scope == "draw"

    def resampled(
        self, calls: Calls, rows: Int[np.ndarray, " call"], path: str = ROOT_PATH
    ) -> Int[np.ndarray, " call"]:
        """A rest row for each call: uniform over the rest rows of the calling row's stratum."""
        if self._one_rest:
            rows = calls.reference  # one r for the whole tree
        return self.rests.pick(rows, words(self.claim.data, calls, self.seed, path, "rest"))

    def _swapped(self, path: str, kind: str) -> bool:
        return self.made is None or (path, kind) in self.made

    def baseline(self, root: Occurrence, calls: Calls) -> Int[np.ndarray, " call"]:
        """The row that the empty claim reads whole: the root's rest, or a resampled row where that is none."""
        options = self.claim.options
        if options.rest == "keep" or (options.rest == "resample" and options.rest_scope == "input"):
            return self.resampled(calls, calls.reference)
        return self.rest(root, calls, calls.reference)[:, 0]


def all_swaps(root: Occurrence, claim: Claim) -> Mapping[Swap, tuple[Occurrence, ...]]:
    """Every swap of rows that a claim makes, with the occurrences that share it: what is drawn once is one swap.

    Donors of all but the root, of a `together` group one; rests of all but the leaves: one for each occurrence, with
    `rest_scope="draw"` one for all, with "input" one for each input. A rest that is no drawn row (`keep`, `mean`,
    `zero`) is none.
    """
    swaps: dict[Swap, list[Occurrence]] = {}
    for node in root.walk():
        if not node.is_root:
            swaps.setdefault((node.donor, "donor"), []).append(node)
        if not node.leaf and claim.options.rest in ROWS:
            for path in rest_paths(claim, node):
                swaps.setdefault((path, "rest"), []).append(node)
    return {swap: tuple(nodes) for swap, nodes in swaps.items()}
