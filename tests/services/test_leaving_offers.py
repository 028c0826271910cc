"""What is offered to somebody about to leave: to whom, how often, and how it is counted."""

from datetime import timedelta

import pytest

from storefront.models import Plan, Subscription
from storefront.operations.catalogue import UnknownPlan
from storefront.queries.leaving import offers
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.leaving_offers import (
    BadOffer,
    OfferDraft,
    OfferGone,
    add_offer,
    note,
    offers_for,
    remove_offer,
)
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

PAUSE = OfferDraft("pause", 30, boxes=2)
VIENNA = {"country": "AT", "postcode": "1070", "city": "Wien"}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """A subscription whose boxes go to Vienna."""
    return make.make_subscription(rt, plan=make.make_plan(rt), address=VIENNA)


def offered(rt: Runtime, sub: Subscription) -> list[str]:
    """Name what may be offered to the subscription's customer."""
    found = [one.ref for one in offers_for(rt, sub.customer_id or 0, sub.public_id)]
    rt.session.rollback()
    return found


def counts(rt: Runtime) -> list[tuple[int, int]]:
    """Count answers as staff see them."""
    found = [(one.taken, one.declined) for one in offers(rt.session)]
    rt.session.rollback()
    return found


def test_an_offer_for_the_plan_goes_before_one_for_any_and_others_are_not_made(
    rt: Runtime, sub: Subscription
) -> None:
    who, other = make_staff(rt), make.make_plan(rt, code="other")
    plan = rt.session.get(Plan, sub.plan_id)
    assert plan is not None
    ref = plan.public_id
    rt.session.rollback()
    anyone = add_offer(rt, who, PAUSE)
    add_offer(rt, who, OfferDraft("skip", 30, plan=other.public_id))
    own = add_offer(rt, who, OfferDraft("skip", 30, plan=ref))
    assert offered(rt, sub) == [own, anyone]


def test_boxes_that_go_to_germany_bring_no_offer(rt: Runtime) -> None:
    add_offer(rt, make_staff(rt), PAUSE)
    assert offered(rt, make.make_subscription(rt)) == []


def test_an_answer_counts_once_and_the_offer_rests(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    ref = add_offer(rt, make_staff(rt), PAUSE)
    assert offered(rt, sub) == [ref]
    assert note(rt, sub.customer_id or 0, sub.public_id, ref, taken=True)
    assert not note(rt, sub.customer_id or 0, sub.public_id, ref, taken=False)
    assert counts(rt) == [(1, 0)]
    assert offered(rt, sub) == []
    clock.set(rt.now() + timedelta(days=30))
    assert offered(rt, sub) == [ref]
    assert note(rt, sub.customer_id or 0, sub.public_id, ref, taken=False)
    assert counts(rt) == [(1, 1)]


def test_who_has_cancelled_is_offered_nothing(rt: Runtime, sub: Subscription) -> None:
    add_offer(rt, make_staff(rt), PAUSE)
    cancel(rt, sub.customer_id or 0, sub.public_id)
    assert offered(rt, sub) == []


def test_somebody_elses_subscription_and_unknown_offers_count_nothing(
    rt: Runtime, sub: Subscription
) -> None:
    ref = add_offer(rt, make_staff(rt), PAUSE)
    assert not note(rt, (sub.customer_id or 0) + 1, sub.public_id, ref, taken=True)
    assert not note(rt, sub.customer_id or 0, sub.public_id, "off_none", taken=True)
    assert offers_for(rt, (sub.customer_id or 0) + 1, sub.public_id) == []
    rt.session.rollback()
    assert counts(rt) == [(0, 0)]


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (OfferDraft("gift", 30), "kind"),
        (OfferDraft("pause", 30), "boxes"),
        (OfferDraft("pause", 30, boxes=99), "boxes"),
        (OfferDraft("skip", 0), "rest_days"),
        (OfferDraft("discount", 30, code="NOWHERE"), "code"),
        (OfferDraft("discount", 30), "code"),
    ],
)
def test_what_cannot_be_offered_is_refused(rt: Runtime, draft: OfferDraft, reason: str) -> None:
    with pytest.raises(BadOffer) as caught:
        add_offer(rt, make_staff(rt), draft)
    assert caught.value.params == {"reason": reason}
    assert counts(rt) == []


def test_an_unknown_plan_is_refused_and_a_removed_offer_is_gone(rt: Runtime) -> None:
    who = make_staff(rt)
    with pytest.raises(UnknownPlan):
        add_offer(rt, who, OfferDraft("skip", 30, plan="pln_none"))
    ref = add_offer(rt, who, PAUSE)
    remove_offer(rt, who, ref)
    with pytest.raises(OfferGone):
        remove_offer(rt, who, ref)
    assert counts(rt) == []
