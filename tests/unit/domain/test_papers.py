"""Pick lists that count every piece, sheets that hold every label, addresses line by line."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.papers import (
    LAYOUTS,
    Piece,
    packing_order,
    pick_list,
    pieces_of,
)

_SKUS = ("ASSAM", "KUKICHA", "SENCHA")


@st.composite
def packings(draw):
    """Boxes of two plans with up to three products, in any order."""
    boxes = []
    for _ in range(draw(st.integers(0, 30))):
        skus = draw(st.lists(st.sampled_from(_SKUS), unique=True, min_size=1))
        contents = [[sku, draw(st.integers(1, 4))] for sku in skus]
        boxes.append(
            {
                "plan": draw(st.sampled_from(["Cup", "Pot"])),
                "contents": contents,
                "names": [sku.title() for sku in skus],
            }
        )
    return boxes


@given(packings())
def test_a_pick_list_holds_every_piece_of_every_box_once(boxes):
    found = pick_list(boxes)
    packed = Counter()
    for box in boxes:
        packed.update(dict(box["contents"]))

    assert {one.sku: one.pieces for one in found.sums} == packed
    by_groups = Counter()
    for group in found.groups:
        by_groups.update({one.sku: total for one, total in group.totals})
    assert by_groups == packed
    assert sum(group.boxes for group in found.groups) == found.boxes == len(boxes)


@given(packings(), st.randoms(use_true_random=False))
def test_a_pick_list_does_not_depend_on_the_order_of_its_boxes(boxes, random):
    shuffled = list(boxes)
    random.shuffle(shuffled)

    assert pick_list(shuffled) == pick_list(boxes)


@given(packings(), st.randoms(use_true_random=False))
def test_boxes_come_in_the_order_of_the_pick_list_each_once(boxes, random):
    numbered = list(enumerate(boxes))
    random.shuffle(numbered)

    order = packing_order(numbered)

    assert sorted(order) == list(range(len(boxes)))
    assert order == packing_order(enumerate(boxes))
    groups = [(box["plan"], pieces_of(box)) for box in (boxes[key] for key in order)]
    seen = list(dict.fromkeys(groups))
    assert groups == sorted(groups, key=seen.index), "boxes packed alike stand together"
    assert seen == [(group.plan, group.pieces) for group in pick_list(boxes).groups]


def test_a_box_locked_before_names_were_kept_is_listed_by_its_skus():
    assert pieces_of({"plan": "Cup", "contents": [["ASSAM", 2]]}) == (Piece("ASSAM", "ASSAM", 2),)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda one: f"{one.kind}-{one.code}")
def test_every_label_lies_on_its_page_and_beside_the_others(layout):
    places = [layout.place(number) for number in range(layout.per_page)]

    assert len(set(places)) == layout.columns * layout.rows
    for left, top in places:
        assert left >= 0
        assert top >= 0
        assert left + layout.cell[0] <= layout.width + 1e-6
        assert top + layout.cell[1] <= layout.height + 1e-6
    for first, second in pairwise(places):
        if first[1] == second[1]:
            assert second[0] >= first[0] + layout.cell[0] - 1e-6
        else:
            assert second[1] >= first[1] + layout.cell[1] - 1e-6


def test_the_first_label_of_a_usual_sheet_begins_where_its_pack_says():
    left, top = LAYOUTS["labels", "l7160"].place(0)

    assert (round(left, 2), round(top, 2)) == (7.25, 15.15)
    assert round(LAYOUTS["labels", "5160"].place(0)[1], 2) == 12.7
