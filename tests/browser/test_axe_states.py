"""axe-core finds nothing for somebody whose boxes rest, are unpaid, or are given away."""

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Customer, Gift, Plan, Subscription
from storefront.operations.beginning import Start
from storefront.services.checkout import change_gift, start_checkout
from storefront.services.pauses import pause
from storefront.testing.factories import make_customer, make_subscription, price_of
from tests.browser.axe import axe_findings
from tests.browser.people import ADA
from tests.browser.support import PHONE, Visitor
from tests.support.gifts import pay_order, wish_for

pytestmark = pytest.mark.browser

#: The pages of one subscription that show its state or change it.
OWN = ("", "/pause", "/date", "/plan", "/cancel", "/address")
#: What Ada answers where the plan asks.
USUAL = {"caffeine": "usual"}
SIGN_IN = {
    "en": ("E-mail", "Send me a code", "Code from the e-mail", "Sign in"),
    "de": ("E-Mail", "Code senden", "Code aus der E-Mail", "Anmelden"),
}


def subscribe_twice_and_give(rt):
    """Let Ada have a box that she pauses, one whose card is declined later, and a gift for Cleo."""
    plan = rt.session.scalars(sa.select(Plan).where(Plan.code == "pot")).one()
    rt.session.expunge(plan)
    rt.session.rollback()
    ada = make_customer(rt, email=ADA)
    resting = make_subscription(rt, plan=plan, customer=ada, options=USUAL)
    make_subscription(rt, plan=plan, customer=ada, options=USUAL, card="0341")
    key = start_checkout(rt, Start(plan.id, price_of(rt, plan).id, USUAL))
    wish = wish_for(rt.today(), name="Cleo Finch", email="", is_quiet=True)
    change_gift(rt, key, ADA, "Ada Lovelace", wish)
    pay_order(rt, key)
    owner = rt.session.scalars(sa.select(Customer.id).where(Customer.email == ADA)).one()
    rt.session.rollback()
    pause(rt, owner, resting.public_id, None)


def own_pages(rt):
    """Return the states of Ada's own subscriptions, and the paths of all that is hers."""
    subs = rt.session.execute(
        sa.select(Subscription.public_id, Subscription.state)
        .join(Customer, Customer.id == Subscription.customer_id)
        .where(Customer.email == ADA)
    ).all()
    gift = rt.session.scalars(sa.select(Gift.public_id)).one()
    paths = [f"/account/subscriptions/{one.public_id}{page}" for one in subs for page in OWN]
    paused = [one.public_id for one in subs if one.state == SubscriptionState.PAUSED]
    paths += [f"/account/subscriptions/{one}/resume" for one in paused]
    return {one.state for one in subs}, ["/account/", *paths, f"/account/gifts/{gift}"]


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "de")])
def test_axe_finds_nothing_where_boxes_rest_are_unpaid_and_given(
    chromium, live, clock, scheme, language
):
    live.do(subscribe_twice_and_give)
    clock.advance(days=41)
    live.tick()
    live.tick()
    states, paths = live.do(own_pages)
    assert states == {SubscriptionState.PAUSED, SubscriptionState.PAST_DUE}
    with Visitor(chromium, live, PHONE, color_scheme=scheme) as ada:
        ada.context.add_cookies([{"name": "language", "value": language, "url": live.address}])
        email, send, code, enter = SIGN_IN[language]
        ada.page.goto("/account/")
        ada.fill({email: ADA})
        ada.press(send)
        ada.page.locator("#code").wait_for()
        live.tick()
        ada.fill({code: live.code_for(ADA)})
        ada.press(enter)
        ada.page.locator("#account-home").wait_for()
        found = {}
        for path in paths:
            ada.go(path)
            assert ada.page.evaluate("document.documentElement.lang") == language
            if faults := axe_findings(ada.page):
                found[path.rpartition("/")[2]] = faults
        assert found == {}
