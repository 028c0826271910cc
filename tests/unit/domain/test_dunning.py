"""Dunning: soft declines are tried again for a while, hard ones never, and it ends."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.charging import DeclineKind
from storefront.domain.dunning import (
    DEFAULT_POLICY,
    RetryPolicy,
    Step,
    StepKind,
    last_day,
    next_step,
)

DAY = date(2027, 3, 12)
POLICIES = st.builds(
    RetryPolicy, st.lists(st.integers(1, 30), max_size=6, unique=True).map(sorted).map(tuple)
)


def test_the_default_policy_tries_3_8_and_15_days_after_the_first_decline():
    tried, day = [], DAY
    for step in range(3):
        following = next_step(DEFAULT_POLICY, DAY, step, day, DeclineKind.SOFT)
        assert following.kind is StepKind.RETRY
        day = following.on
        tried.append((day - DAY).days)

    assert tried == [3, 8, 15]
    assert next_step(DEFAULT_POLICY, DAY, 3, day, DeclineKind.SOFT) == Step(
        StepKind.LAST_ACTION, day
    )


@given(POLICIES)
def test_every_day_of_a_schedule_is_tried_once_and_then_it_ends(policy):
    tried, day = [], DAY
    while (
        step := next_step(policy, DAY, len(tried), day, DeclineKind.SOFT)
    ).kind is StepKind.RETRY:
        day = step.on
        tried.append((day - DAY).days)

    assert tuple(tried) == policy.retry_after_days
    assert step == Step(StepKind.LAST_ACTION, last_day(policy, DAY))


def test_a_day_that_passed_while_nothing_ran_is_not_made_up_for():
    late = DAY + timedelta(days=10)

    assert next_step(DEFAULT_POLICY, DAY, 1, late, DeclineKind.SOFT) == Step(
        StepKind.RETRY, DAY + timedelta(days=15)
    )


@given(POLICIES, st.integers(0, 10))
def test_a_hard_decline_is_never_tried_again(policy, step):
    assert next_step(policy, DAY, step, DAY, DeclineKind.HARD).kind is not StepKind.RETRY


@given(POLICIES.filter(lambda policy: policy.retry_after_days))
def test_an_ask_leaves_as_long_as_the_retries_would_have_taken(policy):
    asked = next_step(policy, DAY, 0, DAY, DeclineKind.HARD)

    assert asked == Step(StepKind.ASK, last_day(policy, DAY))


@pytest.mark.parametrize("days", [(0,), (3, 3), (5, 3)])
def test_days_that_do_not_rise_from_one_are_refused(days):
    with pytest.raises(ValueError, match=r"at least a day|rise"):
        RetryPolicy(days)


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="from zero"):
        next_step(DEFAULT_POLICY, DAY, -1, DAY + timedelta(days=1), DeclineKind.SOFT)
