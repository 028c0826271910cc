"""Dunning: soft declines are tried again for a while, hard ones never, and it ends."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.charging import DeclineKind
from storefront.domain.dunning import DEFAULT_POLICY, RetryPolicy, Step, StepKind, next_step

DAY = date(2027, 3, 12)
POLICIES = st.builds(RetryPolicy, st.lists(st.integers(1, 30), max_size=6).map(tuple))


def test_the_default_policy_tries_3_8_and_15_days_after_the_first_decline():
    tried, day = [], DAY
    for step in range(3):
        following = next_step(DEFAULT_POLICY, step, day, DeclineKind.SOFT)
        assert following.kind is StepKind.RETRY
        day = following.on
        tried.append((day - DAY).days)

    assert tried == [3, 8, 15]
    assert next_step(DEFAULT_POLICY, 3, day, DeclineKind.SOFT) == Step(StepKind.LAST_ACTION, day)


@given(POLICIES, st.integers(0, 10), st.sampled_from(DeclineKind))
def test_a_chase_always_ends(policy, step, decline):
    following = next_step(policy, step, DAY, decline)

    ended = step >= len(policy.retry_after_days)
    assert (following.kind is StepKind.LAST_ACTION) == ended
    assert following.on >= DAY


@given(POLICIES, st.integers(0, 10))
def test_a_hard_decline_is_never_tried_again(policy, step):
    assert next_step(policy, step, DAY, DeclineKind.HARD).kind is not StepKind.RETRY


@given(POLICIES.filter(lambda policy: policy.retry_after_days))
def test_an_ask_leaves_as_long_as_the_retries_would_have_taken(policy):
    asked = next_step(policy, 0, DAY, DeclineKind.HARD)
    day = DAY
    for step in range(len(policy.retry_after_days)):
        day = next_step(policy, step, day, DeclineKind.SOFT).on

    assert asked == Step(StepKind.ASK, day)


def test_a_wait_of_no_day_and_a_negative_step_are_refused():
    with pytest.raises(ValueError, match="at least a day"):
        RetryPolicy((0,))
    with pytest.raises(ValueError, match="from zero"):
        next_step(DEFAULT_POLICY, -1, DAY + timedelta(days=1), DeclineKind.SOFT)
