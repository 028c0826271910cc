"""Boxes that leave in one parcel: which of them may, and how one row says all of them.

Source: docs/decisions/0189-one-parcel.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.layout import Layout
from storefront.domain.carriers.rows import findings
from storefront.domain.customs import grams_by_sku

#: A regular box, its customer and where it goes: key, customer, address, packing.
Candidate = tuple[int, int, Mapping[str, Any], Mapping[str, Any]]


def shared(boxes: Iterable[Candidate]) -> list[list[int]]:
    """Return the keys of boxes that leave together, the lowest first; none that leaves alone.

    Of one batch: those of the same customer with the very same address and e-mail. A gift goes
    by itself.

    >>> home, away = {"street": "Weg 1"}, {"street": "Weg 2"}
    >>> shared([(3, 1, home, {}), (1, 1, home, {}), (2, 1, away, {}), (4, 2, home, {})])
    [[1, 3]]
    """
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for key, customer, ship_to, packing in boxes:
        if not packing.get("gift"):
            place = json.dumps([dict(ship_to), packing.get("email")], sort_keys=True)
            groups[customer, place].append(key)
    return sorted(sorted(keys) for keys in groups.values() if len(keys) > 1)


def rows_of(layout: Layout, parcel: Sequence[BoxFacts]) -> list[BoxFacts]:
    """Return what ``layout`` has rows for: the boxes of a parcel, or the parcel as a whole."""
    if layout.per_box or len(parcel) == 1:
        return list(parcel)
    return [as_one(parcel)]


def fitting_rows(layout: Layout, parcel: Sequence[BoxFacts]) -> list[BoxFacts]:
    """Return the rows of a parcel that fit ``layout``: of its boxes, where the whole does not."""
    whole = rows_of(layout, parcel)
    if len(whole) == 1 and not findings(layout, whole[0]):
        return whole
    return [one for one in parcel if not findings(layout, one)]


def as_one(parcel: Sequence[BoxFacts]) -> BoxFacts:
    """Return the boxes of a parcel as one: named by the first, with what is in all of them.

    Pieces and weights are added up; a declaration for customs is added up where it is the same.
    """
    first = parcel[0]
    names = list(dict.fromkeys(str(one.packing["plan"]) for one in parcel))
    contents = _contents(parcel)
    names_of = {sku: name for one in parcel for sku, name in one.names.items()}
    packing = {
        **first.packing,
        "plan": ", ".join(names),
        "contents": contents,
        "names": [names_of[sku] for sku, _pieces in contents],
        **_grams(parcel, contents),
        "weight_grams": sum(one.packing["weight_grams"] for one in parcel),
        "customs": _customs(parcel),
        "answers": list(dict.fromkeys(tuple(said) for one in parcel for said in one.answers)),
        **_prices(parcel),
    }
    # The row is the parcel's own, so it need not say in which parcel it leaves.
    return replace(
        first,
        packing=packing,
        quantity=sum(one.quantity for one in parcel),
        parcel="",
        boxes=tuple(one.box for one in parcel),
    )


def _prices(parcel: Sequence[BoxFacts]) -> dict[str, Any]:
    """Return what the boxes cost together; nothing where that is not known, or not one sum."""
    prices = [one.packing.get("price") for one in parcel]
    known = [price for price in prices if price is not None]
    if len(known) < len(parcel) or len({currency for _net, _tax, currency in known}) > 1:
        return {"price": None}
    nets, taxes, currencies = zip(*known, strict=True)
    return {"price": [sum(nets), sum(taxes), currencies[0]]}


def _grams(parcel: Sequence[BoxFacts], contents: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the grams of one piece of each; none where a box was locked before they were kept."""
    if not all("grams" in one.packing for one in parcel):
        return {"grams": []} if "grams" in parcel[0].packing else {}
    known = {sku: grams for one in parcel for sku, grams in grams_by_sku(one.packing).items()}
    return {"grams": [known[sku] for sku, _pieces in contents]}


def _contents(parcel: Sequence[BoxFacts]) -> list[list[Any]]:
    pieces: dict[str, int] = defaultdict(int)
    for one in parcel:
        for sku, number in one.contents:
            pieces[sku] += number
    return [[sku, number] for sku, number in pieces.items()]


def _customs(parcel: Sequence[BoxFacts]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in parcel:
        for line in one.customs:
            alike = json.dumps({**line, "pieces": 0}, sort_keys=True)
            known = found.setdefault(alike, {**line, "pieces": 0})
            known["pieces"] += line["pieces"]
    return list(found.values())
