"""Pages for whoever has too many cards declined, and for the staff who are warned of it."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.models import CardTry, GatewaySetup, Plan, ShopSettings
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk
from tests.support.gateways import second_gateway
from tests.support.orders import count, only
from tests.support.paying import mailed, renewed, type_card
from tests.support.shopper import HTMX, Shopper, place
from tests.support.visitor import Visitor, customer_with_password

STOPPED = "Too many cards were declined here within an hour."
DECLINED = ("0002", "9995", "0069", "9995")


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    plan = make.make_plan(rt, code="pot", name="Pot")
    rt.session.execute(
        sa.update(ShopSettings.__table__).values(declines_person=4, declines_address=6)  # type: ignore[arg-type]
    )
    rt.session.commit()
    rt.forget_shop()
    return plan


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def refuse_all(shopper: Shopper) -> None:
    """Have four cards declined, the last of them one the bank would take."""
    shopper.begin()
    shopper.deliver()
    for card in DECLINED:
        shopper.choose(shopper.order(), card)
        assert place(shopper.post(shopper.at("finish"))) == "pay"


def is_stopped(answer: TestResponse) -> bool:
    """Whether an answer says what happened, when one may go on, and whom to write to."""
    said = [
        STOPPED,
        "A card can be tried again in 60 minutes",
        "We help as well: hello@",
        "Nothing was charged",
    ]
    return (
        answer.status_code == 429
        and answer.headers["Retry-After"] == "3600"
        and all(words in answer.text for words in said)
    )


def test_the_fifth_card_after_four_declined_ones_has_to_wait_and_all_is_kept(
    rt: Runtime, ada: Shopper
) -> None:
    refuse_all(ada)

    answer = ada.order()

    assert is_stopped(answer)
    assert "Lindenweg 4" in answer.text
    assert re.search(r'name="consent"[^>]* checked', answer.text)
    assert count(rt, GatewaySetup) == 4


def test_the_script_gets_the_same_step_in_place(ada: Shopper) -> None:
    refuse_all(ada)
    ada.get(ada.at("pay"))
    ada.headers = HTMX

    answer = ada.post(ada.at("pay"), quote=ada.quote, consent="y")

    assert (answer.status_code, answer.headers["Retry-After"]) == (422, "3600")
    assert answer.text.lstrip().startswith('<form id="pay-form"')
    assert STOPPED in answer.text


def test_the_step_says_so_before_one_tries(ada: Shopper) -> None:
    refuse_all(ada)

    page = ada.get(ada.at("pay")).text

    assert "The card does not have enough money" in page
    assert STOPPED in page


def test_after_the_hour_the_same_order_is_paid(ada: Shopper, clock: FrozenClock) -> None:
    refuse_all(ada)
    clock.advance(minutes=61)
    assert STOPPED not in ada.get(ada.at("pay")).text

    ada.choose(ada.order())

    assert place(ada.post(ada.at("finish"))) == "confirmation"


def test_three_declined_cards_and_a_good_one_are_an_order(ada: Shopper) -> None:
    ada.begin()
    ada.deliver()
    for card in DECLINED[:3]:
        ada.choose(ada.order(), card)
        ada.post(ada.at("finish"))
        ada.post(ada.at("finish"))

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"


@pytest.mark.parametrize("by_script", [False, True])
def test_a_page_left_open_at_the_gateway_is_not_finished_meanwhile(
    app: Flask, rt: Runtime, ada: Shopper, by_script: bool
) -> None:
    left = Shopper(app.test_client(), ada.gateway)
    left.begin()
    left.deliver(email="eve@example.org")
    left.choose(left.order(), "4242")
    refuse_all(ada)
    other = Shopper(app.test_client(), ada.gateway)
    other.begin()
    other.deliver(email="mallory@example.org")
    for card in DECLINED[:2]:
        other.choose(other.order(), card)
        other.post(other.at("finish"))

    left.headers = HTMX if by_script else {}
    answer = left.post(left.at("finish"))

    if by_script:
        assert answer.headers["HX-Redirect"].endswith("/pay?problem=break")
        answer = left.get(answer.headers["HX-Redirect"])
        assert STOPPED in answer.text
    else:
        assert is_stopped(answer)
    assert "Lindenweg 4" in answer.text
    assert ada.gateway.bank.executed_count() == 0


def test_another_card_than_the_one_the_bank_asks_about_has_to_wait(
    app: Flask, ada: Shopper
) -> None:
    ada.buy("3220")
    for number in range(2):
        other = Shopper(app.test_client(), ada.gateway)
        other.begin()
        other.deliver(email=f"eve{number}@example.org")
        for card in DECLINED[:3]:
            other.choose(other.order(), card)
            other.post(other.at("finish"))

    answer = ada.post(ada.at("other-card"))

    assert is_stopped(answer)
    assert "Continue to your bank" in answer.text
    assert "hx-trigger" not in answer.text.partition('id="waiting"')[2].partition(">")[0]
    assert place(ada.post(ada.at("finish"))) == "waiting"


def test_somebody_at_another_address_orders_as_always(app: Flask, ada: Shopper) -> None:
    refuse_all(ada)
    ada.begin()
    ada.deliver()
    for card in DECLINED[:2]:
        ada.choose(ada.order(), card)
        ada.post(ada.at("finish"))
    assert is_stopped(ada.order())

    ben = Shopper(app.test_client(), ada.gateway)
    ben.client.environ_base["REMOTE_ADDR"] = "198.51.100.9"
    assert place(ben.buy()) == "confirmation"


def test_an_address_that_is_only_claimed_is_not_believed(app: Flask, ada: Shopper) -> None:
    for number in range(6):
        eve = Shopper(app.test_client(), ada.gateway)
        eve.client.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        assert place(eve.buy("9995")) == "pay"
    ada.client.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.77"
    ada.begin()
    ada.deliver()

    assert is_stopped(ada.order())


def test_a_way_to_pay_without_cards_stays_open_and_is_named(rt: Runtime, ada: Shopper) -> None:
    refuse_all(ada)
    with second_gateway(rt, "paypal"):
        ada.get(ada.at("pay"))

        stopped = ada.post(ada.at("pay"), quote=ada.quote, consent="y", gateway="demo")
        assert stopped.status_code == 429
        assert "You can pay another way at once: PayPal." in stopped.text

        gone_on = ada.post(ada.at("pay"), quote=ada.quote, consent="y", gateway="paypal")
        assert gone_on.status_code == 303
    assert count(rt, CardTry) == 4


@pytest.fixture
def owner(app: Flask, rt: Runtime, plan: Plan) -> Visitor:
    customer_with_password(rt, "ada@example.org")
    return Visitor.of(app).sign_in("ada@example.org")


def refuse_cards(rt: Runtime, visitor: Visitor, gateway: DemoGateway, times: int = 4) -> None:
    for _ in range(times):
        page = visitor.post("/account/payment/card", gateway="demo").location
        gateway.bank.choose(page.rpartition("/")[2], "0002")
        assert visitor.post(f"/account/payment/card/{newest_setup(rt)}").status_code == 303


def newest_setup(rt: Runtime) -> str:
    table = GatewaySetup.__table__
    found = rt.session.scalar(sa.select(table.c.public_id).order_by(table.c.id.desc()).limit(1))
    rt.session.rollback()
    return str(found)


def test_after_four_refused_cards_the_account_takes_none_and_says_so(
    rt: Runtime, owner: Visitor, demo_gateway: DemoGateway
) -> None:
    owner.post("/account/payment/card", gateway="demo")
    left_open = newest_setup(rt)
    refuse_cards(rt, owner, demo_gateway)

    assert is_stopped(owner.post("/account/payment/card", gateway="demo"))
    assert is_stopped(owner.post(f"/account/payment/card/{left_open}"))
    by_script = owner.post(f"/account/payment/card/{left_open}", htmx=True)
    assert by_script.headers["HX-Redirect"].endswith("/account/payment")
    assert STOPPED in owner.get("/account/payment").text
    assert count(rt, GatewaySetup) == 5


def test_another_customer_stores_a_card_meanwhile(
    app: Flask, rt: Runtime, owner: Visitor, demo_gateway: DemoGateway
) -> None:
    refuse_cards(rt, owner, demo_gateway)
    customer_with_password(rt, "ben@example.org")
    ben = Visitor.of(app).sign_in("ben@example.org")

    page = ben.post("/account/payment/card", gateway="demo").location
    demo_gateway.bank.choose(page.rpartition("/")[2], "4242")
    assert ben.post(f"/account/payment/card/{newest_setup(rt)}").status_code == 303
    assert "ending 4242" in ben.get("/account/payment").text


def test_what_was_chosen_for_the_new_card_is_kept(
    rt: Runtime, owner: Visitor, demo_gateway: DemoGateway
) -> None:
    refuse_cards(rt, owner, demo_gateway)
    with second_gateway(rt, "stripe", kinds=("card",)):
        answer = owner.post("/account/payment/card", gateway="stripe")

    assert answer.status_code == 429
    assert re.search(r'name="gateway" value="stripe"[^>]* checked', answer.text)
    assert not re.search(r'name="gateway" value="demo"[^>]* checked', answer.text)


@pytest.fixture
def path(rt: Runtime, clock: FrozenClock) -> str:
    """The link in the mail about a renewal that was declined."""
    renewed(rt, clock, "0341")
    rt.session.execute(sa.update(ShopSettings.__table__).values(declines_person=4))  # type: ignore[arg-type]
    rt.session.commit()
    rt.forget_shop()
    return mailed(rt)


def test_new_cards_behind_a_pay_link_are_counted_when_stored_and_when_charged(
    app: Flask, rt: Runtime, path: str, demo_gateway: DemoGateway
) -> None:
    anybody = Visitor.of(app)
    anybody.get(path)
    left_open = type_card(rt, anybody, path, demo_gateway.bank, "4242")
    for card in ("0002", "9995", "0002", "9995"):
        anybody.post(type_card(rt, anybody, path, demo_gateway.bank, card))
    assert count(rt, CardTry, CardTry.declined_at.is_not(None)) == 4

    with second_gateway(rt, "stripe", kinds=("card",)):
        stopped = anybody.post(f"{path}/card", gateway="stripe")
        assert re.search(r'name="gateway" value="stripe"[^>]* checked', stopped.text)
    assert is_stopped(stopped)
    assert "Pay €26.00" in stopped.text
    assert is_stopped(anybody.post(left_open))
    assert anybody.post(left_open, htmx=True).headers["HX-Redirect"] == path
    assert STOPPED in anybody.get(path).text
    assert demo_gateway.bank.executed_count() == 0


def test_staff_are_warned_and_told_what_to_do(app: Flask, rt: Runtime, ada: Shopper) -> None:
    rt.session.execute(sa.update(ShopSettings.__table__).values(declines_alarm=4))  # type: ignore[arg-type]
    rt.session.commit()
    staff = desk(app, rt)
    assert "somebody may be trying out cards" not in staff.get("/admin/").text
    refuse_all(ada)

    today = staff.get("/admin/").text
    assert "4 cards were declined within an hour: somebody may be trying out cards" in today
    assert 'href="/admin/today/declines"' in today
    page = staff.get("/admin/today/declines").text
    assert "So many cards were declined within the hour" in page
    assert "3-D Secure" in page
    for address in ("/admin/settings#section-declines", "/admin/hold-charging"):
        assert f'href="{address}"' in page
    assert staff.get("/admin/settings").status_code == 200


def test_who_may_not_hold_charging_is_not_warned(app: Flask, rt: Runtime, ada: Shopper) -> None:
    rt.session.execute(sa.update(ShopSettings.__table__).values(declines_alarm=4))  # type: ignore[arg-type]
    rt.session.commit()
    refuse_all(ada)

    packer = desk(app, rt, "fulfilment")
    assert "somebody may be trying out cards" not in packer.get("/admin/").text
    assert packer.get("/admin/today/declines").status_code == 403


def test_the_numbers_are_set_and_hold_from_then_on(app: Flask, rt: Runtime, ada: Shopper) -> None:
    staff = desk(app, rt)
    typed = {"declines_person": "5", "declines_address": "50", "declines_alarm": "12"}
    assert staff.post("/admin/settings/declines", typed).status_code == 303
    row = only(rt, ShopSettings)
    assert (row.declines_person, row.declines_address, row.declines_alarm) == (5, 50, 12)
    refuse_all(ada)

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"


@pytest.mark.parametrize("typed", ["", "3", "51", "many"])
def test_three_declined_cards_are_always_let_through(app: Flask, rt: Runtime, typed: str) -> None:
    make.make_shop(rt)
    fields = {"declines_person": typed, "declines_address": "50", "declines_alarm": "12"}

    answer = desk(app, rt).post("/admin/settings/declines", fields)

    assert answer.status_code == 422
    assert "Enter a whole number from 4 to 50" in answer.text
    assert 'value="12"' in answer.text
