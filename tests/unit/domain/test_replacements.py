"""What may become of a parcel, and what goes into a box that is sent again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.boxes import BoxState
from storefront.domain.replacements import (
    OUTCOMES,
    NotReplaceable,
    Reason,
    may_become,
    pieces_wanted,
    state_after,
    suggested_reason,
)

LEFT = {BoxState.SHIPPED, BoxState.DELIVERED, BoxState.RETURNED, BoxState.LOST}


def test_only_boxes_that_left_become_something_and_never_go_back_into_the_house():
    assert set(OUTCOMES) == LEFT
    for now, then in OUTCOMES.items():
        assert then <= LEFT - {BoxState.SHIPPED, now}


@pytest.mark.parametrize("state", [state for state in BoxState if state not in LEFT])
@pytest.mark.parametrize("reason", list(Reason))
def test_a_box_that_has_not_left_is_not_sent_again(state, reason):
    with pytest.raises(NotReplaceable):
        state_after(state, reason)


@pytest.mark.parametrize("state", sorted(LEFT))
@pytest.mark.parametrize("reason", list(Reason))
def test_the_reason_says_what_became_of_the_first_box(state, reason):
    then = state_after(state, reason)

    assert then is state or may_become(state, then)
    assert then in {BoxState.LOST, BoxState.RETURNED, BoxState.DELIVERED}
    assert state_after(then, reason) is then


def test_what_was_noted_suggests_the_reason():
    assert suggested_reason(BoxState.LOST) is Reason.LOST
    assert suggested_reason(BoxState.RETURNED) is Reason.RETURNED
    assert suggested_reason(BoxState.DELIVERED) is None


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), min_size=1),
    st.dictionaries(st.sampled_from("abcde"), st.integers(-1, 4)),
)
def test_a_box_sent_again_holds_something_and_never_more_than_the_first(held, wanted):
    try:
        pieces = pieces_wanted(held, wanted)
    except NotReplaceable:
        fits = all(0 <= n <= held.get(key, 0) for key, n in wanted.items())
        assert not fits or not any(wanted.values())
    else:
        assert pieces
        assert all(0 < n <= held[key] for key, n in pieces.items())
        assert pieces == {key: n for key, n in wanted.items() if n}
        assert list(pieces) == [key for key in held if key in pieces], "in the order packed"
