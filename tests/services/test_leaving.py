"""Why somebody leaves: asked after the cancellation, kept once, read by staff."""

import pytest
import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.models import Subscription, SubscriptionEvent
from storefront.operations.leaving import Reason, reasons_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.leaving import NotFound, say_why
from storefront.testing import factories as make


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """A subscription that runs, paid until 2 April."""
    return make.make_subscription(rt, plan=make.make_plan(rt))


def say(rt: Runtime, sub: Subscription, why: str, note: str = "") -> bool:
    """Answer as the subscription's customer."""
    return say_why(rt, sub.customer_id or 0, sub.public_id, why, note)


def leave(rt: Runtime, sub: Subscription) -> None:
    """Cancel as the subscription's customer."""
    cancel(rt, sub.customer_id or 0, sub.public_id)


def reason(rt: Runtime, sub: Subscription) -> Reason | None:
    """Read the reason as staff see it."""
    found = reasons_of(rt.session, [sub.public_id])
    rt.session.rollback()
    return found.get(sub.public_id)


def lines(rt: Runtime) -> int:
    """Count the answers in the timeline."""
    found = rt.session.scalar(
        sa.select(sa.func.count())
        .select_from(SubscriptionEvent)
        .where(SubscriptionEvent.kind == EventKind.LEAVING_SAID)
    )
    rt.session.rollback()
    return int(found or 0)


def test_nobody_is_asked_why_before_they_have_cancelled(rt: Runtime, sub: Subscription) -> None:
    assert not say(rt, sub, "price")
    assert reason(rt, sub) is None
    assert lines(rt) == 0


def test_a_reason_is_kept_after_the_cancellation(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub)
    assert reason(rt, sub) is None
    assert say(rt, sub, "price", "  take 4242 4242 4242 4242 off ")
    found = reason(rt, sub)
    assert found is not None
    assert found.why == "price"
    assert found.note.startswith("take ")
    assert "4242 4242 4242" not in found.note


def test_the_same_answer_twice_is_one_and_another_replaces_it(
    rt: Runtime, sub: Subscription
) -> None:
    leave(rt, sub)
    assert say(rt, sub, "price")
    assert not say(rt, sub, "price")
    assert lines(rt) == 1
    assert say(rt, sub, "other", "The cat")
    assert reason(rt, sub) == Reason("other", "The cat")


def test_an_empty_answer_or_an_unknown_reason_is_none(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub)
    assert not say(rt, sub, "", "   ")
    assert not say(rt, sub, "staff")
    assert lines(rt) == 0


def test_a_cancellation_that_is_taken_back_leaves_no_reason(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub)
    say(rt, sub, "delivery")
    undo_cancel(rt, sub.customer_id or 0, sub.public_id)
    assert reason(rt, sub) is None
    leave(rt, sub)
    assert reason(rt, sub) is None


def test_what_staff_note_when_they_cancel_is_not_the_reason_of_the_customer(
    rt: Runtime, sub: Subscription
) -> None:
    cancel(rt, sub.customer_id or 0, sub.public_id, why="staff", note="Called", actor=Actor.STAFF)
    assert reason(rt, sub) is None


def test_nobody_answers_for_somebody_elses_subscription(rt: Runtime, sub: Subscription) -> None:
    leave(rt, sub)
    with pytest.raises(NotFound):
        say_why(rt, (sub.customer_id or 0) + 1, sub.public_id, "price", "")
