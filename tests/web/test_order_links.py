"""An order that was begun is gone on with by a link that its e-mail got, on another device."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.mails import compose
from storefront.models import Checkout, OutboxMessage, Plan, Price
from storefront.operations.moment import Moment
from storefront.operations.order_links import MOST, message_keys, order_token, read_order_token
from storefront.runtime import Runtime
from storefront.services.erasure import ask_erasure, finish_erasures
from storefront.services.finishing import expire_checkouts
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count
from tests.support.paying import lead, waiting_mails
from tests.support.shopper import Shopper, place

BACK = "Welcome back, your box is still here."


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(pot: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    """A shopper before the last step."""
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    return ada


@pytest.fixture
def phone(app: Flask, demo_gateway: DemoGateway) -> Shopper:
    """Another device, which knows nothing of the order."""
    return Shopper(app.test_client(), demo_gateway)


def ask(rt: Runtime, ada: Shopper) -> str:
    """Ask for a link; returns the address that the newest mail leads to."""
    assert "Send me a link to go on later" in ada.get(ada.at("pay")).text
    assert place(ada.post(ada.at("later"))) == "pay"
    mail = compose(rt, waiting_mails(rt, "order_later")[-1])
    rt.session.rollback()
    assert mail is not None
    assert mail.to == "ada@example.org"
    assert "Lindenweg" not in mail.text
    found = re.search(r"http://localhost(/checkout/later/\S+)", mail.text)
    assert found
    return found[1]


def run_out(rt: Runtime, clock: FrozenClock) -> None:
    clock.advance(hours=3)
    assert expire_checkouts(rt) == 1


def fields(page: str) -> dict[str, str]:
    """Return what a browser sends of the form of step 1."""
    form = page[page.index('id="box-form"') :]
    found = {}
    for tag in re.findall(r"<input[^>]+>", form[: form.index("</form>")]):
        said = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if said["type"] == "hidden" or re.search(r"\bchecked\b", tag):
            found[said["name"]] = said["value"]
    return found


def raise_price(rt: Runtime) -> None:
    rt.session.execute(sa.update(Price).values(amount_minor=2800))
    rt.session.commit()


def test_the_link_leads_into_the_same_order_on_another_device(
    rt: Runtime, ada: Shopper, phone: Shopper
) -> None:
    path = ask(rt, ada)
    for _ in range(2):
        page = phone.get(path)
        assert lead(page.text) == BACK
        assert "Due today: €26.00." in page.text
        assert "changed meanwhile" not in page.text
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Robots-Tag"] == "noindex"
        for word in ("ada@example.org", "Ada Lovelace", "Lindenweg", "07743"):
            assert word not in page.text
            assert word not in path

    assert place(phone.post(path)) == "pay"
    assert count(rt, Checkout) == 1


def test_an_order_that_ran_out_comes_back_with_box_and_address(
    rt: Runtime, ada: Shopper, phone: Shopper, clock: FrozenClock
) -> None:
    path = ask(rt, ada)
    run_out(rt, clock)
    assert lead(phone.get(path).text) == BACK

    begun = phone.get(phone.post(path).location)
    done = phone.post("/checkout", **fields(begun.text))
    phone.key = done.location.split("/")[-2]

    review = phone.get(phone.at("pay")).text
    assert "Lindenweg 4" in review
    assert "€26.00" in review


def test_the_code_comes_back_with_an_order_that_ran_out(
    rt: Runtime, ada: Shopper, phone: Shopper, clock: FrozenClock
) -> None:
    make.make_code(rt)
    ada.post(ada.at("code"), code="LEMON")
    path = ask(rt, ada)
    run_out(rt, clock)
    phone.get(path)
    begun = phone.get(phone.post(path).location)
    done = phone.post("/checkout", **fields(begun.text))
    phone.key = done.location.split("/")[-2]
    assert "LEMON" in phone.get(phone.at("pay")).text


def test_another_price_is_said_before_anything_is_done(
    rt: Runtime, ada: Shopper, phone: Shopper
) -> None:
    path = ask(rt, ada)
    raise_price(rt)
    page = phone.get(path).text
    assert "This changed meanwhile:" in page
    assert "The total changed from €26.00 to €28.00." in page


def test_what_is_not_sold_any_more_leads_to_the_plans(
    rt: Runtime, ada: Shopper, phone: Shopper, pot: Plan
) -> None:
    path = ask(rt, ada)
    gone = sa.update(Plan).where(Plan.id == pot.id).values(archived_at=rt.now())
    rt.session.execute(gone)
    rt.session.commit()
    page = phone.get(path).text
    assert lead(page) == "Not sold any more"
    assert "Not sold any more: Pot." in page
    phone.get("/sign-in")
    assert phone.post(path).location == path


def test_a_paid_order_is_not_ordered_again(rt: Runtime, ada: Shopper, phone: Shopper) -> None:
    path = ask(rt, ada)
    ada.choose(ada.order())
    ada.post(ada.at("finish"))
    assert lead(phone.get(path).text) == "You have ordered this already"
    assert phone.post(path).location == path
    (mail,) = waiting_mails(rt, "order_later")
    assert compose(rt, mail) is None


def test_a_link_ends_after_two_weeks_and_says_so(
    rt: Runtime, ada: Shopper, phone: Shopper, clock: FrozenClock
) -> None:
    path = ask(rt, ada)
    clock.advance(days=14)
    page = phone.get(path).text
    assert lead(page) == "This link is too old"
    assert "See all plans" in page
    assert phone.post(path).location == path


def test_a_link_we_never_made_opens_nothing(rt: Runtime, ada: Shopper, phone: Shopper) -> None:
    path = ask(rt, ada)
    other = "chk_22222222222222222222222222"
    for token in (path.replace(ada.key, other), path[:-3] + "abc", "/checkout/later/x"):
        assert phone.get(token).status_code == 404
        assert place(phone.post(token)) == token.rpartition("/")[2]


def test_a_link_of_an_order_nobody_has_opens_nothing(rt: Runtime, phone: Shopper) -> None:
    until = rt.now() + timedelta(days=1)
    token = order_token(rt.settings.secret_key, "chk_22222222222222222222222222", 2600, until)
    assert phone.get(f"/checkout/later/{token}").status_code == 404


def test_the_key_of_another_shop_makes_no_link(rt: Runtime) -> None:
    moment: Moment = rt.moment()
    token = order_token("another key", "chk_2", None, moment.now + timedelta(days=1))
    assert read_order_token(rt.settings.secret_keys, token, moment.now) is None


def test_nobody_is_flooded_with_links(rt: Runtime, ada: Shopper) -> None:
    for _ in range(MOST):
        ask(rt, ada)
    ada.post(ada.at("later"))
    assert "Too many tries" in ada.get(ada.at("pay")).text
    keys = rt.session.scalars(sa.select(OutboxMessage.key).order_by(OutboxMessage.id)).all()
    rt.session.rollback()
    assert list(keys) == message_keys([ada.key])


def test_erasing_somebody_takes_back_the_link_to_their_order(
    rt: Runtime, ada: Shopper, phone: Shopper, clock: FrozenClock
) -> None:
    person = make.make_customer(rt, email="ada@example.org")
    path = ask(rt, ada)

    run_out(rt, clock)
    ask_erasure(rt, person.public_id)
    finish_erasures(rt)

    assert phone.get(path).status_code == 404
    (message,) = rt.session.execute(
        sa.select(OutboxMessage.payload, OutboxMessage.state).where(
            OutboxMessage.topic == "order_later"
        )
    )
    rt.session.rollback()
    assert tuple(message) == ({}, "stopped")


def test_before_an_e_mail_is_typed_there_is_nowhere_to_send_a_link(
    rt: Runtime, pot: Plan, phone: Shopper
) -> None:
    phone.begin()
    assert place(phone.post(phone.at("later"))) == "delivery"
    assert waiting_mails(rt, "order_later") == []
