"""Choosing the contents of a box: what a choice must keep to, and the default rule."""

from dataclasses import replace
from datetime import date
from itertools import product as combinations

from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.choices import (
    Bar,
    Fault,
    FaultKind,
    Limit,
    PoolItem,
    Rule,
    bars,
    faults,
    fill,
    refusals,
)

CATEGORIES = ("Tea", "Bakes")


@st.composite
def pools(draw):
    count = draw(st.integers(1, 6))
    return [
        PoolItem(
            variant=number + 1,
            most=draw(st.integers(1, 2)),
            category=draw(st.sampled_from(CATEGORIES)),
            price=draw(st.integers(0, 9)),
            allergens=frozenset(draw(st.sets(st.sampled_from(("nuts", "milk")), max_size=1))),
            left=draw(st.one_of(st.none(), st.integers(0, 3))),
        )
        for number in range(count)
    ]


@st.composite
def rules(draw):
    limits = [
        Limit(category, least, draw(st.one_of(st.none(), st.integers(least, 4))))
        for category in draw(st.sets(st.sampled_from(CATEGORIES)))
        for least in [draw(st.integers(0, 2))]
    ]
    return Rule(
        pieces=draw(st.integers(1, 5)),
        limits=tuple(limits),
        value=draw(st.one_of(st.none(), st.integers(1, 30))),
        avoids_allergens=draw(st.booleans()),
        never_repeats=draw(st.booleans()),
    )


choices = st.dictionaries(st.integers(1, 7), st.integers(0, 3), max_size=6)
words = st.frozensets(st.sampled_from(("nuts", "milk")))
DAYS = [date(2027, month, 1) for month in (1, 2, 3)]
variants = st.dictionaries(st.integers(1, 6), st.sampled_from(DAYS))


def every_good_box(rule, pool, barred):
    """Return all the boxes that keep to the rule, by trying every one there is."""
    numbers = combinations(*(range(item.most + 1) for item in pool))
    boxes = ({item.variant: n for item, n in zip(pool, each, strict=True)} for each in numbers)
    return [box for box in boxes if not faults(rule, pool, barred, box)]


@given(rules(), pools(), choices, words, variants)
def test_a_box_is_filled_whenever_any_box_keeps_to_the_rule(rule, pool, chosen, avoided, sent):
    barred = bars(rule, pool, avoided, sent)

    filled = fill(rule, pool, barred, chosen)

    assert (filled is None) == (not every_good_box(rule, pool, barred))
    if filled is not None:
        assert faults(rule, pool, barred, filled.picks) == []


@given(rules(), pools(), choices, words, variants)
def test_a_choice_without_a_fault_is_packed_as_it_is(rule, pool, chosen, avoided, sent):
    barred = bars(rule, pool, avoided, sent)
    filled = fill(rule, pool, barred, chosen)

    if not faults(rule, pool, barred, chosen):
        assert filled is not None
        assert (filled.kept, filled.added) == ({v: n for v, n in chosen.items() if n}, {})
    elif filled is not None:
        assert all(pieces <= chosen[variant] for variant, pieces in filled.kept.items())


@given(rules(), pools(), choices, st.randoms(), words, variants)
def test_the_order_of_a_choice_does_not_matter(rule, pool, chosen, rng, avoided, sent):
    barred = bars(rule, pool, avoided, sent)
    shuffled = list(chosen.items())
    rng.shuffle(shuffled)

    assert fill(rule, pool, barred, dict(shuffled)) == fill(rule, pool, barred, chosen)
    assert faults(rule, pool, barred, dict(shuffled)) == faults(rule, pool, barred, chosen)


@given(rules(), pools(), choices, words, variants)
def test_nothing_is_packed_that_is_gone_or_not_tolerated(rule, pool, chosen, avoided, sent):
    known = {item.variant: item for item in pool}
    filled = fill(rule, pool, bars(rule, pool, avoided, sent), chosen)

    for variant, pieces in (filled.picks if filled else {}).items():
        item = known[variant]
        assert item.left is None or pieces <= item.left
        assert not (rule.avoids_allergens and item.allergens & avoided)


@given(rules(), pools(), choices, words, variants)
def test_what_can_be_saved_is_packed_with_the_rest_added(rule, pool, chosen, avoided, sent):
    barred = bars(rule, pool, avoided, sent)

    if not refusals(rule, pool, barred, chosen):
        filled = fill(rule, pool, barred, chosen)
        assert filled is not None
        assert filled.kept == {v: n for v, n in chosen.items() if n}


def test_part_of_a_choice_can_be_saved_unless_it_leaves_no_room_for_the_rest():
    pool = [PoolItem(1, category="Tea"), PoolItem(2, category="Tea"), PoolItem(3, category="Bakes")]
    rule = Rule(2, (Limit("Bakes", least=1),))

    assert refusals(rule, pool, {}, {1: 1}) == []
    assert refusals(rule, pool, {}, {1: 1, 2: 1}) == [
        Fault(FaultKind.CATEGORY_LEAST, category="Bakes", number=1),
        Fault(FaultKind.NO_ROOM, number=1),
    ]
    assert refusals(rule, pool, {}, {}) == [
        Fault(FaultKind.TOO_FEW, number=2),
        Fault(FaultKind.CATEGORY_LEAST, category="Bakes", number=1),
    ]


@given(rules(), pools(), choices, words, variants)
def test_a_choice_is_refused_exactly_when_no_good_box_holds_it(rule, pool, chosen, avoided, sent):
    barred = bars(rule, pool, avoided, sent)
    good = every_good_box(rule, pool, barred)
    holds = any(all(box.get(v, 0) >= n for v, n in chosen.items()) for box in good)

    if any(chosen.values()):
        found = refusals(rule, pool, barred, chosen)
        assert bool(found) == (not holds)
        assert FaultKind.TOO_FEW not in {one.kind for one in found}


@given(rules(), pools(), choices)
def test_what_stands_in_the_way_is_named_with_its_number(rule, pool, chosen):
    barred = bars(rule, pool)
    any_value = every_good_box(replace(rule, value=None), pool, barred)
    prices = {item.variant: item.price for item in pool}
    holding = [box for box in any_value if all(box.get(v, 0) >= n for v, n in chosen.items())]

    for fault in refusals(rule, pool, barred, chosen):
        if fault.kind is FaultKind.NO_VALUE_LEFT:
            worth = [sum(prices[v] * n for v, n in box.items()) for box in holding]
            assert fault.number == min(worth)
            assert fault.number > rule.value
        if fault.kind is FaultKind.POOL_TOO_SMALL:
            assert every_good_box(rule, pool, barred) == []


@given(rules(), pools(), choices)
def test_so_many_pieces_must_come_out_as_are_named_and_no_fewer(rule, pool, chosen):
    rule, barred = replace(rule, value=None), bars(rule, pool)
    good = every_good_box(rule, pool, barred)
    found = refusals(rule, pool, barred, chosen)
    if not good or {one.kind for one in found} != {FaultKind.CATEGORY_LEAST, FaultKind.NO_ROOM}:
        return

    over = [sum(max(0, n - box.get(v, 0)) for v, n in chosen.items()) for box in good]
    assert found[-1].number == min(over)


def test_part_of_a_choice_says_which_limit_stands_in_the_way_of_the_rest():
    tea = [PoolItem(number, category="Tea", price=900) for number in (1, 2, 3)]
    cakes = [
        PoolItem(number, category="Bakes", price=price) for number, price in ((4, 500), (5, 400))
    ]
    pool = [*tea, *cakes]
    rule = Rule(3, (Limit("Bakes", least=1),), value=2400)

    assert refusals(rule, pool, {}, {1: 1, 2: 1, 3: 1}) == [
        Fault(FaultKind.CATEGORY_LEAST, category="Bakes", number=1),
        Fault(FaultKind.VALUE, number=2400),
        Fault(FaultKind.NO_ROOM, number=1),
    ]
    assert refusals(Rule(3, value=2100), pool, {}, {1: 1, 2: 1}) == [
        Fault(FaultKind.NO_VALUE_LEFT, number=2200)
    ]
    assert refusals(Rule(6), pool, {}, {1: 1}) == [Fault(FaultKind.POOL_TOO_SMALL)]
    # What is missing is no reason beside a reason.
    assert refusals(Rule(4, value=1000), pool, {}, {1: 1, 2: 1}) == [
        Fault(FaultKind.VALUE, number=1000)
    ]


def test_the_default_goes_through_the_pool_in_the_merchant_s_order():
    pool = [PoolItem(3), PoolItem(1, left=0), PoolItem(2, most=2), PoolItem(4)]

    filled = fill(Rule(4), pool, bars(Rule(4), pool), {})

    assert filled is not None
    assert list(filled.added) == [3, 2, 4]
    assert filled.added[2] == 2


def test_one_sold_out_product_is_replaced_and_the_others_are_kept():
    pool = [PoolItem(1), PoolItem(2), PoolItem(3, left=0), PoolItem(4)]

    filled = fill(Rule(3), pool, bars(Rule(3), pool), {2: 1, 3: 1, 4: 1})

    assert filled is not None
    assert (filled.kept, filled.added) == ({2: 1, 4: 1}, {1: 1})


def test_the_default_saves_room_for_the_least_of_a_category():
    pool = [PoolItem(1, category="Tea"), PoolItem(2, category="Tea"), PoolItem(3, category="Bakes")]
    rule = Rule(2, (Limit("Bakes", least=1),))

    filled = fill(rule, pool, {}, {})

    assert filled is not None
    assert filled.picks == {1: 1, 3: 1}


def test_the_default_stays_under_the_value():
    pool = [PoolItem(1, price=800), PoolItem(2, price=700), PoolItem(3, price=300)]

    filled = fill(Rule(2, value=1100), pool, {}, {})

    assert filled is not None
    assert filled.picks == {1: 1, 3: 1}


def test_of_what_was_sent_before_the_longest_ago_is_offered_again_when_nothing_else_fills_the_box():
    pool, rule = [PoolItem(1), PoolItem(2), PoolItem(3)], Rule(2, never_repeats=True)

    assert bars(rule, pool, sent={1: DAYS[0]}) == {1: Bar.REPEATED}
    assert bars(rule, pool, sent={1: DAYS[0], 2: DAYS[0]}) == {}
    assert bars(rule, pool, sent={1: DAYS[1], 2: DAYS[0]}) == {1: Bar.REPEATED}
    assert bars(rule, pool, sent=dict(zip((1, 2, 3), DAYS, strict=True))) == {3: Bar.REPEATED}


@given(rules(), pools(), variants, words)
def test_nothing_is_repeated_while_enough_else_is_there(rule, pool, sent, avoided):
    rule = replace(rule, never_repeats=True)
    barred = bars(rule, pool, avoided, sent)
    filled = fill(rule, pool, barred, {}, sent)
    new = [item for item in pool if item.variant not in sent]
    if fill(rule, new, bars(rule, new, avoided), {}) is not None:
        assert filled is not None
        assert not filled.picks.keys() & sent.keys()
    elif filled is not None:
        # What was sent as late as the last in it is needed: without it no box can be filled.
        latest = max(sent[key] for key in filled.picks if key in sent)
        older = [item for item in pool if sent.get(item.variant, date.min) < latest]
        assert fill(rule, older, bars(rule, older, avoided), {}) is None


@given(rules(), pools(), variants)
def test_the_longest_ago_comes_first_and_all_that_is_older_with_it(rule, pool, sent):
    rule = replace(rule, never_repeats=True, limits=(), value=None)
    filled = fill(rule, pool, bars(rule, pool, sent=sent), {}, sent)
    if filled is None:
        return
    rest = rule.pieces
    for day in (date.min, *DAYS):
        own = [item for item in pool if sent.get(item.variant, date.min) == day]
        there = sum(item.most if item.left is None else min(item.most, item.left) for item in own)
        assert sum(filled.picks.get(item.variant, 0) for item in own) == min(rest, there)
        rest -= min(rest, there)


@given(rules(), pools(), choices, st.randoms(), words, variants)
def test_the_order_in_which_boxes_are_read_does_not_matter(rule, pool, chosen, rng, avoided, sent):
    pairs = list(sent.items())
    rng.shuffle(pairs)
    barred, again = (bars(rule, pool, avoided, one) for one in (sent, dict(pairs)))
    assert barred == again
    assert fill(rule, pool, barred, chosen, sent) == fill(rule, pool, again, chosen, dict(pairs))


def test_an_allergen_is_never_packed_even_when_the_box_stays_empty():
    pool = [PoolItem(1, allergens=frozenset({"nuts"})), PoolItem(2)]
    rule = Rule(2, avoids_allergens=True)
    barred = bars(rule, pool, frozenset({"nuts"}))

    assert barred == {1: Bar.ALLERGEN}
    assert fill(rule, pool, barred, {1: 1, 2: 1}) is None


def test_every_broken_rule_is_named():
    pool = [
        PoolItem(1, category="Tea", price=500),
        PoolItem(2, category="Tea", price=500, left=1, most=2),
        PoolItem(3, category="Bakes", price=100, left=0),
    ]
    rule = Rule(3, (Limit("Tea", most=3), Limit("Bakes", least=1)), value=1000)

    found = faults(rule, pool, bars(rule, pool), {1: 2, 2: 2, 9: 1})

    assert found == [
        Fault(FaultKind.UNKNOWN, 9),
        Fault(FaultKind.MOST_OF_ONE, 1, number=1),
        Fault(FaultKind.NOT_ENOUGH_LEFT, 2, number=1),
        Fault(FaultKind.TOO_MANY, number=2),
        Fault(FaultKind.CATEGORY_MOST, category="Tea", number=3),
        Fault(FaultKind.CATEGORY_LEAST, category="Bakes", number=1),
        Fault(FaultKind.VALUE, number=1000),
    ]


def test_fewer_than_none_of_a_product_is_refused() -> None:
    pool = [PoolItem(1), PoolItem(2), PoolItem(3)]
    found = refusals(Rule(2), pool, {}, {1: 1, 2: 1, 3: -1})
    assert [(one.kind, one.variant) for one in found] == [(FaultKind.UNKNOWN, 3)]
