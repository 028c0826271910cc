"""Every journey on a tablet, on a phone in the dark in German, in French, by keys, and on a train.

``docs/journeys.md`` says which journey is seen under which condition; the ones with words in
them (errors, refusals, what is charged) are in ``test_journey`` and ``test_journey_care``;
cards, refusals and what is in the box are in ``test_every_look_again``.
"""

import re

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Declaration, Gift, Inquiry, Invoice, Plan, Subscription
from storefront.testing.factories import make_customer, make_subscription
from tests.browser.looks import (
    TABLET,
    THREE_LOOKS,
    Look,
    begin,
    go_home,
    gone,
    order,
    pay,
    sign_in,
    visit,
)
from tests.browser.people import ADA
from tests.browser.support import DESK, PHONE

pytestmark = pytest.mark.browser

CLEO = "cleo@example.org"

LOOKS = [
    pytest.param(Look(TABLET, language="fr"), id="tablet-french"),
    pytest.param(Look(PHONE, "dark", "de"), id="phone-dark-german"),
    pytest.param(Look(PHONE, slow=True), id="phone-slow-impatient"),
    pytest.param(Look(DESK, keys=True), id="desk-keys"),
    pytest.param(Look(TABLET, "dark", "de", script=False), id="tablet-dark-german-bare"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_subscriber_orders_changes_everything_and_leaves(chromium, live, look):
    with visit(chromium, live, look) as visitor:
        hands = begin(visitor, look)
        order(hands)
        assert visitor.page.evaluate("document.documentElement.lang") == look.language
        skip_and_undo(hands)
        change_plan(hands)
        pause_and_go_on(hands)
        cancel_and_stay(hands)
    assert live.subscriptions() == 1
    assert live.bank.executed_count() == 1
    assert live.bank.double_charges() == []
    states = live.do(lambda rt: rt.session.scalars(sa.select(Subscription.state)).all())
    assert states == [SubscriptionState.ACTIVE]


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_a_gift_is_given_and_taken(chromium, live, look):
    with visit(chromium, live, look) as ada:
        give(begin(ada, look))
    live.tick()
    code = next(re.search(r"/gift/(\S+)", mail)[1] for mail in live.mails_to(CLEO))
    with visit(chromium, live, look) as cleo:
        hands = begin(cleo, look)
        cleo.go(f"/gift/{code}")
        hands.arrive("#gift form")
        hands.write(
            {"name": "Cleo Finch", "street": "Lindenweg 4", "postcode": "07743", "city": "Jena"}
        )
        hands.press("#gift form button.filled")
        gone(hands, "#gift form")
        claimed = live.do(lambda rt: rt.session.scalars(sa.select(Gift.claimed_at)).one())
    assert claimed is not None
    assert live.bank.executed_count() == 1


def give(hands):
    hands.visitor.go("/checkout?plan=pot&interval=1m&gift=1")
    hands.tick("#box-form [name=option-caffeine][value=usual]")
    hands.press("#box-form button.filled")
    hands.arrive("#gift-form")
    hands.tick("#gift-form [name=where][value=ask]")
    hands.write({"to_name": "Cleo", "to_email": CLEO, "name": "Ada Lovelace", "email": ADA})
    hands.press("#gift-form button.filled")
    hands.arrive("#pay-form")
    pay(hands)
    hands.arrive(".order-done")


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_who_left_for_good_orders_the_same_again(chromium, live, clock, look):
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        order(hands)
        go_home(hands)
        hands.press("main a[href$='/cancel']")
        hands.arrive("#cancel")
        hands.press("#cancel form button.filled")
        hands.arrive("#cancelled")
        clock.advance(days=45)
        live.tick()
        sign_in(hands)
        hands.press("main a[href*='/account/subscriptions/']")
        hands.press("form[action$='/again'] button")
        hands.arrive("#pay-form")
        pay(hands)
        hands.arrive(".order-done")
    assert live.subscriptions() == 2
    assert live.bank.executed_count() == 2
    assert live.bank.double_charges() == []


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_who_owes_something_pays_it_asks_and_ends(chromium, live, clock, look):
    live.do(subscribe_with_a_card_that_fails_later)
    clock.advance(days=41)
    live.tick()
    live.tick()
    found = [re.search(r"/pay/[^\s\"<>]+", mail) for mail in live.mails_to(ADA)]
    link = next(one[0] for one in found if one)
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        pay_what_is_owed(hands, link)
        sign_in(hands)
        write_to_the_shop(hands)
        end_the_contract(hands)
    owed = live.do(lambda rt: rt.session.scalars(sa.select(Invoice.state)).all())
    assert set(owed) == {"paid"}
    assert live.bank.double_charges() == []
    asked = live.do(lambda rt: rt.session.scalar(sa.select(sa.func.count(Inquiry.id))))
    ended = live.do(lambda rt: rt.session.scalar(sa.select(sa.func.count(Declaration.id))))
    assert (asked, ended) == (1, 1)


def subscribe_with_a_card_that_fails_later(rt):
    plan = rt.session.scalars(sa.select(Plan).where(Plan.code == "pot")).one()
    rt.session.expunge(plan)
    rt.session.rollback()
    ada = make_customer(rt, email=ADA)
    make_subscription(rt, plan=plan, customer=ada, options={"caffeine": "usual"}, card="0341")


def pay_what_is_owed(hands, link):
    hands.visitor.go(link)
    hands.arrive("#pay")
    hands.press("#pay form[action$='/card'] button")
    hands.arrive("#card-4242")
    hands.tick("#card-4242")
    hands.press("main form button.filled")
    if not hands.visitor.script:
        hands.press("main form button.filled")
    hands.arrive("#pay:not(:has(form))")


def write_to_the_shop(hands):
    hands.visitor.go("/account/inquiries/new")
    hands.write({"subject": "Cracked cup", "text": "What now?"})
    hands.press("#inquiry form button.filled")
    hands.arrive("#inquiry #m1")


def end_the_contract(hands):
    hands.visitor.go("/contracts/end")
    hands.write({"name": "Ada", "email": ADA, "contract": "Pot"})
    hands.press("main form button.filled")
    hands.arrive("#declaration")
    if hands.find("main form button.filled").count():
        # In French everything is looked at once more first.
        hands.press("main form button.filled")
    hands.arrive("main a[href$='/file']")


def skip_and_undo(hands):
    go_home(hands)
    hands.press(".boxes form[action$='/skip'] button")
    hands.arrive(".boxes form[action$='/undo-skip']")
    hands.press(".boxes form[action$='/undo-skip'] button")
    gone(hands, ".boxes form[action$='/undo-skip']")


def change_plan(hands):
    go_home(hands)
    hands.press("main a[href$='/plan']")
    hands.arrive("#plan-change")
    hands.tick("#price-2")
    if not hands.visitor.script:
        hands.press("#plan-change button.outline:not([name])")
    hands.arrive("#plan-quote")
    hands.press("#plan-quote button.filled")
    # Cheaper, so it waits for the next payment and can be taken back until then.
    hands.visitor.page.locator("#plan-quote").wait_for(state="detached")
    go_home(hands)
    hands.press("main a[href$='/plan']")
    hands.arrive("form[action$='/plan/keep']")
    hands.press("form[action$='/plan/keep'] button")
    gone(hands, "form[action$='/plan/keep']")


def pause_and_go_on(hands):
    go_home(hands)
    hands.press("main a[href$='/pause']")
    hands.arrive("#pause")
    hands.tick("#until-2")
    hands.press("#pause form button.filled")
    hands.visitor.page.locator("#pause").wait_for(state="detached")
    go_home(hands)
    hands.press("main a[href$='/pause']")
    hands.arrive("form[action$='/pause/drop']")
    hands.press("form[action$='/pause/drop'] button")
    gone(hands, "form[action$='/pause/drop']")


def cancel_and_stay(hands):
    go_home(hands)
    hands.press("main a[href$='/cancel']")
    hands.arrive("#cancel")
    hands.press("#cancel form button.filled")
    hands.arrive("#cancelled")
    hands.press("form[action$='/cancel/undo'] button")
    gone(hands, "#cancelled")
    go_home(hands)
    hands.arrive("main a[href$='/cancel']")
