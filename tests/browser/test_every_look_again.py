"""What is in the box, refused cards, stored cards, withdrawing and the shop's answer, in all looks.

Beside ``test_every_look``; ``docs/journeys.md`` says which journey is seen under which condition.
"""

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.models import (
    BoxChoiceItem,
    BoxSwap,
    Customer,
    Declaration,
    InquiryMessage,
)
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps
from storefront.testing.factories import (
    make_customer,
    make_method,
    make_plan,
    make_subscription,
    make_variant,
)
from tests.browser.looks import THREE_LOOKS, WHO, begin, go_home, gone, order, pay, sign_in, visit
from tests.browser.people import ADA, sign_in_as_owner
from tests.browser.support import DESK, Visitor

pytestmark = pytest.mark.browser

TEAS = ("Spring Sencha", "Malty Assam", "Iron Oolong", "Roasted Kukicha", "Frost Nilgiri")


def count(live, model):
    return live.do(lambda rt: rt.session.scalar(sa.select(sa.func.count()).select_from(model)))


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_two_of_five_are_chosen_and_chosen_again(chromium, live, look):
    live.do(subscribe_to_a_choice)
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        sign_in(hands)
        hands.press("main a[href$='/choose']")
        hands.arrive("#choose .picks")
        hands.tick(".picks label:nth-of-type(1) input")
        hands.tick(".picks label:nth-of-type(3) input")
        hands.press("#choose .bottom-bar button")
        gone(hands, "#choose")
        assert count(live, BoxChoiceItem) == 2
        go_home(hands)
        hands.press("main a[href$='/choose']")
        hands.press("#choose button[value=leave]")
        gone(hands, "#choose")
    assert count(live, BoxChoiceItem) == 0


def subscribe_to_a_choice(rt):
    plan, teas = make_plan(rt), [make_variant(rt, name=name, on_hand=40) for name in TEAS]
    items = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", items, rule=Rule(2))
    make_subscription(rt, plan=plan, customer=make_customer(rt, email=ADA))


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_a_tea_is_swapped_and_taken_back(chromium, live, look):
    live.do(subscribe_to_swaps)
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        sign_in(hands)
        hands.press("main a[href$='/swap']")
        hands.arrive("#swap details")
        hands.unfold("#swap details summary")
        hands.tick("#swap details [name=instead]")
        hands.press("#swap details button.filled")
        hands.arrive("#swap button[value=undo]")
        assert count(live, BoxSwap) == 1
        hands.press("#swap button[value=undo]")
        gone(hands, "#swap button[value=undo]")
    assert count(live, BoxSwap) == 0


def subscribe_to_swaps(rt):
    plan = make_plan(rt)
    teas = [make_variant(rt, name=name, on_hand=40, price_minor=800) for name in TEAS]
    save_recipe(rt, plan.public_id, None, "", [Ingredient(one.public_id, 1) for one in teas[:2]])
    offer_swaps(rt, plan.public_id, [one.public_id for one in teas[2:]])
    make_subscription(rt, plan=plan, customer=make_customer(rt, email=ADA))


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_a_refusal_going_back_and_the_banks_question_keep_the_order(chromium, live, look):
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        ada.go("/checkout?plan=pot")
        hands.tick("#box-form [name=option-caffeine][value=usual]")
        hands.press("#box-form button.filled")
        hands.arrive("#delivery-form")
        hands.write(WHO)
        hands.press("#delivery-form button.filled")
        hands.arrive("#pay-form")
        pay(hands, "0002")
        hands.arrive("#pay-form .error-summary, #pay-form .banner")
        assert "Lindenweg 4" in ada.see()
        assert live.bank.executed_count() == 0

        hands.tick("#pay-form [name=consent]")
        hands.press("#pay-form button.filled")
        hands.arrive("#card-4242")
        hands.press("main form .cluster a")
        hands.arrive("#pay-form")
        assert "Lindenweg 4" in ada.see()

        pay(hands, "3220")
        hands.press("main a[href*='confirm'], main a.filled")
        hands.arrive("main button[value=confirm]")
        hands.press("main button[value=confirm]")
        if not look.script:
            hands.press("#finish-form button.filled")
        hands.arrive(".order-done")
    assert live.subscriptions() == 1
    assert live.bank.executed_count() == 1
    assert live.bank.double_charges() == []


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_another_card_is_the_backup_then_pays_and_the_old_one_goes(chromium, live, look):
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        order(hands)
        live.do(second_card)
        ada.go("/account/payment")
        hands.press("#payment form[action$='/backup'] button")
        hands.arrive("#payment form[action$='/backup'] [name=wanted]")
        hands.press("#payment form[action$='/use'] button")
        gone(hands, "#payment form[action$='/backup'] [name=wanted]")
        hands.press("#payment li:has(form[action$='/use']) form[action$='/remove'] button")
        gone(hands, "#payment form[action$='/use']")
        assert ada.page.locator("#payment .cards > li").count() == 1
        assert "4444" in ada.see()


def second_card(rt):
    ada = rt.session.scalars(sa.select(Customer)).one()
    rt.session.expunge(ada)
    make_method(rt, ada, is_default=False, last4="4444")


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_a_withdrawal_is_looked_at_changed_and_confirmed(chromium, live, look):
    with visit(chromium, live, look) as ada:
        hands = begin(ada, look)
        ada.go("/contracts/withdraw")
        hands.write({"name": "Ada", "email": ADA, "contract": "Pot"})
        hands.press("main form button.filled")
        hands.arrive("#declaration button[value=edit]")
        assert count(live, Declaration) == 0
        hands.press("#declaration button[value=edit]")
        hands.arrive("#declaration button[value=check]")
        assert ada.page.input_value("[name=contract]") == "Pot"
        hands.press("#declaration button[value=check]")
        hands.arrive("#declaration button[value=edit]")
        hands.press("#declaration button[value=send]")
        hands.arrive("main a[href$='/file']")
    assert count(live, Declaration) == 1


@pytest.mark.parametrize("look", THREE_LOOKS)
def test_a_question_is_answered_and_the_answer_found_in_the_account(chromium, live, look):
    with visit(chromium, live, look) as ada, Visitor(chromium, live, DESK) as greta:
        hands = begin(ada, look)
        order(hands)
        ada.go("/account/inquiries/new")
        hands.write({"subject": "Cracked cup", "text": "What now?"})
        hands.press("#inquiry form button.filled")
        hands.arrive("#inquiry #m1")

        sign_in_as_owner(greta)
        greta.go("/admin/inquiries?state=open", "Inquiries")
        greta.follow("Cracked cup")
        greta.fill({"Your answer": "A new one leaves tomorrow."})
        greta.press("Send the answer")
        greta.says("Sent. It goes out by mail too.")

        go_home(hands)
        hands.press("main a[href$='/notices']")
        hands.arrive("#notices li form")
        hands.press("#notices li a[href*='/inquiries/']")
        hands.arrive("#inquiry #m2")
        assert "A new one leaves tomorrow." in ada.see()
        hands.write({"text": "Thank you."})
        hands.press("#inquiry form button.filled")
        hands.arrive("#inquiry #m3")
    assert count(live, InquiryMessage) == 3
