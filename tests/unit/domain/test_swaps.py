"""Swaps come to one state whatever the order, and a box holds its recipe with them."""

from collections import Counter
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from storefront.domain.swaps import (
    Round,
    Swap,
    may_replace,
    swap_from,
    swap_once,
    swaps_at,
    take_back,
    with_swaps,
)

ROUNDS = [Round(date(2027, month, 18), month) for month in (3, 4, 5, 6)]
WISHES = st.lists(
    st.tuples(st.booleans(), st.integers(1, 2), st.none() | st.integers(3, 5)), max_size=8
)


def said(swaps, at, wishes):
    """Apply wishes: (from now on?, product, instead)."""
    for stands, variant, instead in wishes:
        swaps = (swap_from if stands else swap_once)(swaps, at, variant, instead)
    return swaps


def histories():
    """Swaps as they come to be: round after round."""

    def build(parts):
        swaps = []
        for at, wishes in zip(ROUNDS, parts, strict=False):
            swaps = said(swaps, at, wishes)
        return swaps

    return st.lists(WISHES, max_size=3).map(build)


def state(swaps):
    return Counter(swaps)


@settings(max_examples=60)
@given(histories(), WISHES)
def test_what_was_said_last_for_a_product_is_all_that_counts(before, wishes):
    at = ROUNDS[3]
    after = said(before, at, wishes)

    short = []
    for variant in (1, 2):
        own = [wish for wish in wishes if wish[1] == variant]
        stands = [place for place, wish in enumerate(own) if wish[0]]
        last = stands[-1] if stands else 0
        short += own[last : last + 1] + own[last + 1 :][-1:]
    assert state(said(before, at, short)) == state(after)


@settings(max_examples=60)
@given(histories(), WISHES)
def test_taken_back_is_as_if_nothing_had_been_said(before, wishes):
    at = ROUNDS[3]
    held = swaps_at(before, at)
    after = said(before, at, wishes)

    for variant in {wish[1] for wish in wishes}:
        after = swap_from(after, at, variant, held.get(variant))

    assert swaps_at(after, at) == held
    assert state(after) == state(before)


@settings(max_examples=60)
@given(histories(), st.booleans(), st.integers(3, 5))
def test_the_last_swap_of_a_product_can_be_undone(before, stands, instead):
    at = ROUNDS[3]
    after = said(before, at, [(stands, 1, instead)])

    undone = take_back(after, at, 1)

    if not stands and state(after) != state(before):
        assert state(undone) == state(before)
    if stands:
        assert 1 not in swaps_at(undone, at)


@settings(max_examples=60)
@given(histories(), WISHES)
def test_boxes_that_may_not_change_any_more_keep_what_they_had(before, wishes):
    after = said(before, ROUNDS[3], wishes)

    for at in ROUNDS[:3]:
        assert swaps_at(after, at) == swaps_at(before, at)
    open_ones = [one for one in after if one.is_standing and one.until is None]
    assert len({one.variant for one in open_ones}) == len(open_ones)


def test_once_holds_for_one_box_and_from_now_on_for_all_behind_it():
    once = swap_once([], ROUNDS[0], 1, 3)
    stands = swap_from(once, ROUNDS[1], 1, 4)
    own = swap_once(stands, ROUNDS[2], 1, None)

    assert [swaps_at(own, at) for at in ROUNDS] == [{1: 3}, {1: 4}, {}, {1: 4}]
    assert swap_once(own, ROUNDS[2], 1, 4) == stands
    assert swap_from(stands, ROUNDS[1], 1, None) == [Swap(1, 3, ROUNDS[0])]


@given(
    st.dictionaries(st.integers(1, 4), st.integers(1, 3), min_size=1),
    st.dictionaries(st.integers(1, 6), st.integers(1, 2)),
    st.dictionaries(st.integers(1, 4), st.integers(1, 6)),
    st.dictionaries(st.integers(1, 6), st.integers(0, 4)),
    st.integers(1, 2),
)
def test_a_box_is_its_recipe_with_every_swap_that_is_there(recipe, beside, wanted, stock, times):
    wishes = {own: other for own, other in wanted.items() if own != other}
    lines = [(variant, pieces * times) for variant, pieces in recipe.items()]

    box = with_swaps(lines, beside, wishes, stock.get)

    expected = Counter()
    for variant, pieces in lines:
        expected[box.made.get(variant, variant)] += pieces
    assert Counter(dict(box.own)) + Counter(dict(box.instead)) == expected
    assert {**box.made, **box.lost} == {own: wishes[own] for own in recipe if own in wishes}
    assert not set(box.made) & set(box.lost)
    # Nothing is swapped for what is not there, with all that lies in the same box.
    for instead in set(box.made.values()):
        if instead in stock:
            assert expected[instead] + beside.get(instead, 0) <= stock[instead]


def test_only_what_is_worth_no_more_comes_instead():
    assert may_replace(890, 890)
    assert may_replace(890, 590)
    assert not may_replace(890, 891)
    assert not may_replace(None, 100)
    assert not may_replace(100, None)
