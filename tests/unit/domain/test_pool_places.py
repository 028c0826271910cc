"""Boxes whose contents are chosen: how many a stock fills, each piece counted once."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from storefront.domain.choices import PoolItem, Rule, bars, fill
from storefront.domain.pool_places import fill_boxes, pool_boxes_from


@st.composite
def pools(draw):
    count = draw(st.integers(1, 5))
    return [
        PoolItem(key, most=draw(st.integers(1, 3)), price=draw(st.integers(0, 4)))
        for key in range(1, count + 1)
    ]


rules = st.builds(Rule, st.integers(1, 5), value=st.one_of(st.none(), st.integers(2, 12)))
stocks = st.dictionaries(st.integers(1, 5), st.integers(0, 30))
cases = (rules, pools(), stocks, st.one_of(st.none(), st.integers(0, 40)))


def one_by_one(rule, pool, left, most):
    """The default rule, box after box, without any short cut."""
    left, taken, boxes = dict(left), {}, 0
    while (most is None or boxes < most) and boxes < 500:
        items = [replace(item, left=left.get(item.variant)) for item in pool]
        filled = fill(rule, items, bars(rule, items), {})
        if filled is None:
            break
        boxes += 1
        for key, pieces in filled.picks.items():
            taken[key] = taken.get(key, 0) + pieces
            if key in left:
                left[key] -= pieces
    return boxes, taken


@settings(max_examples=60, deadline=None)
@given(*cases)
def test_it_is_what_the_default_rule_fills_box_after_box(rule, pool, left, most):
    found = fill_boxes(rule, pool, left, most)
    boxes, taken = one_by_one(rule, pool, left, most)
    if found.boxes is None:
        assert boxes == 500, "it never runs out"
    else:
        assert (found.boxes, dict(found.taken)) == (boxes, taken)


@settings(max_examples=60, deadline=None)
@given(*cases)
def test_no_piece_is_promised_twice_nor_one_that_is_not_there(rule, pool, left, most):
    first = fill_boxes(rule, pool, left, most)
    if first.boxes is None:
        return
    assert sum(first.taken.values()) == first.boxes * rule.pieces
    rest = {key: pieces - first.taken.get(key, 0) for key, pieces in left.items()}
    assert min(rest.values(), default=0) >= 0
    if most is None:
        assert fill_boxes(rule, pool, rest).boxes == 0


@settings(max_examples=60, deadline=None)
@given(*cases, st.dictionaries(st.integers(1, 5), st.integers(0, 30)))
def test_who_takes_of_the_rest_changes_no_box_of_the_others(rule, pool, left, most, wanted):
    first = fill_boxes(rule, pool, left, most)
    if first.boxes is None:
        return
    rest = {key: pieces - first.taken.get(key, 0) for key, pieces in left.items()}
    fewer = {key: pieces - min(wanted.get(key, 0), rest[key]) for key, pieces in left.items()}
    assert fill_boxes(rule, pool, fewer, most) == first


@settings(max_examples=60, deadline=None)
@given(
    rules, pools(), stocks, st.lists(st.tuples(st.integers(1, 6), st.integers(1, 2)), max_size=2)
)
def test_so_many_boxes_can_be_filled_beside_what_is_in_each(rule, pool, left, fixed):
    fixed = list(dict(fixed).items())
    boxes = pool_boxes_from(rule, pool, fixed, left)
    if boxes is None:
        return
    rest = dict(left)
    for key, pieces in fixed:
        if key in rest:
            rest[key] -= pieces * boxes
    assert all(rest[key] >= 0 for key, _n in fixed if key in rest)
    filled = fill_boxes(rule, pool, rest, boxes)
    assert filled.boxes is None or filled.boxes == boxes
