"""What a packed box holds of its pool or recipe, and what a change of it takes and brings."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as some

from storefront.domain.late_contents import (
    lying_after,
    picks_lying,
    share_of,
    short_of,
    swaps_lying,
)

NUMBERS = some.integers(1, 3)
POOL = [1, 2, 3, 4, 5]
PICKS = some.dictionaries(some.sampled_from(POOL), NUMBERS, min_size=1)
FIXED = some.dictionaries(some.sampled_from([4, 5, 6, 7]), NUMBERS, max_size=3)


@given(PICKS, FIXED, some.dictionaries(some.sampled_from([5, 7, 8]), NUMBERS, max_size=2), NUMBERS)
def test_what_was_picked_is_read_off_the_packed_box_or_not_at_all(picks, fixed, addons, quantity):
    lying = Counter({key: n * quantity for key, n in fixed.items()})
    lying.update({key: n * quantity for key, n in picks.items()})
    lying.update(addons)
    found = picks_lying(lying, set(addons), fixed, POOL, sum(picks.values()), quantity)
    assert found == {key: picks[key] for key in POOL if key in picks}


def test_a_box_that_is_packed_otherwise_is_not_read():
    assert picks_lying({1: 1, 2: 1}, set(), {}, [1, 2], 3, 1) is None
    assert picks_lying({1: 1, 9: 1}, set(), {}, [1, 2], 1, 1) is None
    assert picks_lying({1: 3}, set(), {}, [1, 2], 3, 2) is None
    assert picks_lying({1: 1}, set(), {3: 1}, [1, 2], 1, 1) is None
    # Two heaps with add-ons of the same products: nobody knows which piece was picked.
    assert picks_lying({1: 2, 2: 2}, {1, 2}, {}, [1, 2], 2, 1) is None


@given(
    some.dictionaries(some.sampled_from([1, 2, 3]), NUMBERS, min_size=1),
    some.dictionaries(some.sampled_from([1, 2, 3]), some.sampled_from([4, 5]), max_size=3),
    some.data(),
)
def test_swaps_are_read_off_the_packed_box_and_share_keeps_the_number(recipe, wanted, data):
    able = [key for key in wanted if key in recipe]
    made = {key: wanted[key] for key in able if data.draw(some.booleans())}
    lying = share_of(recipe, made)
    assert sum(lying.values()) == sum(recipe.values())
    found = swaps_lying(lying, set(), recipe, wanted)
    # In two ways where two products of the recipe give way to the same one; then in none.
    assert found == made or (found is None and len(set(wanted.values())) < len(wanted))
    assert swaps_lying({**lying, 9: 1}, set(), recipe, wanted) is None
    assert swaps_lying({**lying, 9: 1}, {9}, recipe, wanted) == found


@given(PICKS, PICKS, FIXED)
def test_what_lies_beside_the_share_stays(now, then, beside):
    lying = dict(Counter(now) + Counter(beside))
    after = lying_after(lying, now, then)
    assert after == dict(Counter(then) + Counter(beside))
    assert lying_after(after, then, now) == lying


@given(PICKS, PICKS, some.dictionaries(some.sampled_from(POOL), some.integers(-1, 4)))
def test_pieces_are_missing_only_for_what_comes_in_addition(now, then, left):
    missing = short_of(now, then, left)
    for key, pieces in then.items():
        more = pieces - now.get(key, 0)
        enough = key not in left or more <= max(0, left[key])
        assert (key not in missing) == enough
        assert enough or missing[key] == more - max(0, left[key])
    assert short_of(then, then, left) == {}
