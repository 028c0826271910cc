"""What counts as a difference between our books and a gateway's list, and what does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeRecord
from storefront.domain.money import Money
from storefront.domain.reconciliation import DifferenceKind, Ours, compare
from storefront.domain.renewals import OUTAGE_AFTER, is_too_late

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
OURS = Ours(AttemptState.SUCCEEDED, Money(2600, "EUR"))
THEIRS = ChargeRecord(
    "pay_x", "ch_1", AnswerStatus.SUCCEEDED, Money(2600, "EUR"), Money(0, "EUR"), NOW
)


def test_the_same_on_both_sides_is_no_difference():
    assert compare(OURS, THEIRS) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "minors"),
    [
        (None, THEIRS, DifferenceKind.MISSING_HERE, (None, 2600)),
        (
            OURS,
            replace(THEIRS, amount=Money(2500, "EUR")),
            DifferenceKind.AMOUNT,
            (2600, 2500),
        ),
        (
            OURS,
            replace(THEIRS, amount=Money(2600, "USD")),
            DifferenceKind.AMOUNT,
            (2600, 2600),
        ),
        (
            OURS,
            replace(THEIRS, refunded=Money(100, "EUR")),
            DifferenceKind.REFUNDED,
            (0, 100),
        ),
        (replace(OURS, refunded_minor=100), THEIRS, DifferenceKind.REFUNDED, (100, 0)),
        (replace(OURS, state=AttemptState.DECLINED), THEIRS, DifferenceKind.STATE, (0, 2600)),
        (replace(OURS, state=AttemptState.UNKNOWN), THEIRS, DifferenceKind.STATE, (0, 2600)),
        (
            OURS,
            replace(THEIRS, status=AnswerStatus.DECLINED),
            DifferenceKind.STATE,
            (2600, 0),
        ),
    ],
)
def test_each_difference_says_what_either_side_has(ours, theirs, kind, minors):
    found = compare(ours, theirs)
    assert found is not None
    assert (found.kind, (found.ours_minor, found.theirs_minor)) == (kind, minors)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # Of another system on the same account.
        (None, replace(THEIRS, reference="order-7")),
        (None, replace(THEIRS, reference="")),
        # It took no money.
        (None, replace(THEIRS, status=AnswerStatus.DECLINED)),
        (replace(OURS, state=AttemptState.DECLINED), replace(THEIRS, status=AnswerStatus.DECLINED)),
        (replace(OURS, is_refunding=True), replace(THEIRS, refunded=Money(100, "EUR"))),
        (OURS, replace(THEIRS, refunded=Money(2600, "EUR"), is_disputed=True)),
        (OURS, replace(THEIRS, status=AnswerStatus.PENDING)),
    ],
)
def test_what_is_no_difference(ours, theirs):
    assert compare(ours, theirs) is None


def test_late_is_over_two_days_unless_the_owner_let_it_go_on():
    due = NOW - OUTAGE_AFTER
    assert not is_too_late(due, None, NOW)
    assert is_too_late(due - timedelta(seconds=1), None, NOW)
    late = due - timedelta(days=5)
    assert not is_too_late(late, late, NOW)
    assert is_too_late(late, late - timedelta(seconds=1), NOW)
