"""What a packer needs on paper: pick lists, and the sheets that slips and labels are printed on.

All lengths are millimetres. Source: docs/decisions/0144-papers-of-a-batch.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SLIPS, LABELS = "slips", "labels"
_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the places of one page are; a slip has a page of its own, a label a cell."""

    code: str
    kind: str
    width: float
    height: float
    columns: int = 1
    rows: int = 1
    #: Of one cell, and from the edge of one to that of the next.
    cell: tuple[float, float] = (0.0, 0.0)
    pitch: tuple[float, float] = (0.0, 0.0)

    @property
    def per_page(self) -> int:
        """Places on a page."""
        return self.columns * self.rows

    def place(self, number: int) -> tuple[float, float]:
        """Return the left and top edge of place ``number`` (0 …) of a page, row by row.

        The cells stand in the middle of the page, as on every sheet that is sold.
        """
        row, column = divmod(number, self.columns)
        across = self.cell[0] + (self.columns - 1) * self.pitch[0]
        down = self.cell[1] + (self.rows - 1) * self.pitch[1]
        left, top = (self.width - across) / 2, (self.height - down) / 2
        return left + column * self.pitch[0], top + row * self.pitch[1]


def _sheet(
    code: str,
    size: tuple[float, float],
    grid: tuple[int, int],
    cell: tuple[float, float],
    gap: float,
) -> Layout:
    return Layout(code, LABELS, *size, *grid, cell, (cell[0] + gap, cell[1]))


_A4, _LETTER = (210.0, 297.0), (8.5 * _INCH, 11 * _INCH)
_4X6 = (4 * _INCH, 6 * _INCH)
#: Label sizes are those printed on the packs of the sheets named.
_ALL = (
    Layout("a4", SLIPS, *_A4),
    Layout("a6", SLIPS, 105.0, 148.0),
    Layout("4x6", SLIPS, *_4X6),
    _sheet("l7160", _A4, (3, 7), (63.5, 38.1), 2.5),
    _sheet("l7163", _A4, (2, 7), (99.1, 38.1), 2.5),
    _sheet("5160", _LETTER, (3, 10), (2.625 * _INCH, _INCH), 0.125 * _INCH),
    _sheet("4x6", _4X6, (1, 1), _4X6, 0.0),
)
#: Kind and code -> layout, in the order in which they are offered.
LAYOUTS: Mapping[tuple[str, str], Layout] = {(one.kind, one.code): one for one in _ALL}


@dataclass(frozen=True, slots=True)
class Piece:
    """A product in a box: its name and SKU, and how many."""

    name: str
    sku: str
    pieces: int


@dataclass(frozen=True, slots=True)
class PickGroup:
    """Boxes of a plan that are packed alike."""

    plan: str
    boxes: int
    #: What goes into each of them.
    pieces: tuple[Piece, ...]

    @property
    def totals(self) -> tuple[tuple[Piece, int], ...]:
        """Each piece with how many of it all boxes of the group take."""
        return tuple((one, one.pieces * self.boxes) for one in self.pieces)


@dataclass(frozen=True, slots=True)
class PickList:
    """What to take from the shelf for a number of boxes."""

    boxes: int
    #: By name.
    sums: tuple[Piece, ...]
    #: Plan by plan, the most frequent first.
    groups: tuple[PickGroup, ...]


def pieces_of(packing: Mapping[str, Any]) -> tuple[Piece, ...]:
    """Return the contents as frozen at the lock; a box locked before names were kept has SKUs.

    >>> pieces_of({"contents": [["ASSAM-50", 2]], "names": ["Assam 50 g"]})
    (Piece(name='Assam 50 g', sku='ASSAM-50', pieces=2),)
    """
    contents = packing["contents"]
    names = packing.get("names") or [sku for sku, _pieces in contents]
    return tuple(
        Piece(name, sku, pieces) for (sku, pieces), name in zip(contents, names, strict=True)
    )


def group_key(packing: Mapping[str, Any]) -> tuple[str, tuple[Piece, ...]]:
    """Return what boxes that are packed alike share; it also sorts them."""
    return packing["plan"], pieces_of(packing)


def pick_list(boxes: Iterable[Mapping[str, Any]]) -> PickList:
    """Return what to take from the shelf for boxes with these packings, in any order."""
    counts: Counter[tuple[str, tuple[Piece, ...]]] = Counter(group_key(box) for box in boxes)
    sums: Counter[tuple[str, str]] = Counter()
    for (_plan, pieces), count in counts.items():
        for one in pieces:
            sums[one.name, one.sku] += one.pieces * count
    ordered = sorted(counts, key=lambda key: (key[0], -counts[key], _texts(key[1])))
    return PickList(
        counts.total(),
        tuple(Piece(name, sku, number) for (name, sku), number in sorted(sums.items())),
        tuple(PickGroup(plan, counts[plan, pieces], pieces) for plan, pieces in ordered),
    )


def _texts(pieces: tuple[Piece, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((one.sku, one.pieces) for one in pieces)


def packing_order(boxes: Iterable[tuple[int, Mapping[str, Any]]]) -> list[int]:
    """Return the keys of (key, packing) in the order of the pick list's groups, then of keys.

    So slips and labels come off the printer as the boxes are packed.
    """
    groups: dict[tuple[str, tuple[Piece, ...]], list[int]] = {}
    for key, packing in boxes:
        groups.setdefault(group_key(packing), []).append(key)
    ordered = sorted(groups, key=lambda key: (key[0], -len(groups[key]), _texts(key[1])))
    return [key for group in ordered for key in sorted(groups[group])]
