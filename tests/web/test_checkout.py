"""The way from a plan to a paid box, as a browser without JavaScript and with htmx walks it."""

import re
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.models import Checkout, Coupon, Customer, LoginSession, Plan, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count, only

ADA = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "country": "DE",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@dataclass
class Shopper:
    """One browser on its way; every post carries the token of the page before."""

    client: FlaskClient
    gateway: DemoGateway
    key: str = ""
    token: str = ""
    quote: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> TestResponse:
        return self._read(self.client.get(path))

    def post(self, path: str, **data: str) -> TestResponse:
        if not self.token:
            self.get("/checkout?plan=pot")
        values = {"csrf_token": self.token, **data}
        return self._read(self.client.post(path, data=values, headers=self.headers))

    def _read(self, response: TestResponse) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
        self.token = found[1] if found else self.token
        found = re.search(r'name="quote" value="([0-9a-f]+)"', response.text)
        self.quote = found[1] if found else self.quote
        return response

    def at(self, step: str) -> str:
        return f"/checkout/{self.key}/{step}"

    def begin(self, **data: str) -> TestResponse:
        response = self.post("/checkout", plan="pot", **data)
        self.key = urlsplit(response.location).path.split("/")[2]
        return response

    def deliver(self, **data: str) -> TestResponse:
        return self.post(self.at("delivery"), **{**ADA, **data})

    def order(self, **data: str) -> TestResponse:
        self.get(self.at("pay"))
        return self.post(self.at("pay"), **{"quote": self.quote, "consent": "y", **data})

    def choose(self, response: TestResponse, card: str = "4242") -> None:
        self.gateway.bank.choose(urlsplit(response.location).path.rpartition("/")[2], card)

    def buy(self, card: str = "4242") -> TestResponse:
        self.begin()
        self.deliver()
        self.choose(self.order(), card)
        return self.post(self.at("finish"))


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def place(response: TestResponse) -> str:
    """The page a redirect leads to, by its last word."""
    assert response.status_code == 303, response.text
    return urlsplit(response.location).path.rpartition("/")[2]


def test_from_the_plan_to_the_confirmation(rt: Runtime, ada: Shopper):
    first = ada.get("/checkout?plan=pot&interval=1m")
    assert "Your box" in first.text
    assert "Due today" in first.text
    assert place(ada.begin()) == "delivery"
    assert place(ada.deliver()) == "pay"

    page = ada.get(ada.at("pay")).text
    assert "Order with obligation to pay" in page
    for figure in ("€26.00", "Mon 12 April", "Thu 18 March", "To cancel", "Lindenweg 4"):
        assert figure in page
    assert (
        "I agree that Pot renews every month for €26.00 (incl. VAT and delivery), first on "
        "12 April 2027, until I cancel. I can cancel online at any time." in page
    )
    assert "checked" not in page

    paying = ada.order()
    assert "/x/demo-gateway/pay/" in paying.location
    ada.choose(paying)
    back = ada.get(ada.at("finish"))
    assert "Finish my order" in back.text
    assert 'hx-trigger="load, submit"' in back.text
    assert count(rt, Subscription) == 0

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    done = ada.get(ada.at("confirmation")).text
    assert "<title>Order confirmed" in done
    assert "Thank you, Ada" in done
    assert "Your first box leaves on" in done
    assert "Paid. €26.00 from Visa •••• 4242." in done
    assert "Mon 12 April" in done
    consent = rt.session.execute(sa.text("SELECT text, amount_minor FROM consent")).one()
    rt.session.rollback()
    assert consent[0].startswith("I agree that Pot renews every month for €26.00")
    assert consent[1] == 2600


def test_with_htmx_every_step_leads_on(ada: Shopper):
    ada.get("/checkout?plan=pot")
    ada.headers = HTMX
    response = ada.post("/checkout", plan="pot", step="box")
    ada.key = response.headers["HX-Redirect"].split("/")[2]
    assert response.headers["HX-Redirect"] == ada.at("delivery")
    assert ada.deliver().headers["HX-Redirect"] == ada.at("pay")
    ordered = ada.order()
    assert "/x/demo-gateway/pay/" in ordered.headers["HX-Redirect"]
    ada.gateway.bank.choose(ordered.headers["HX-Redirect"].rpartition("/")[2], "4242")
    assert ada.post(ada.at("finish")).headers["HX-Redirect"] == ada.at("confirmation")


def test_looking_at_a_box_writes_nothing(rt: Runtime, ada: Shopper):
    assert ada.get("/checkout?plan=pot").status_code == 200
    assert count(rt, Checkout) == 0


def test_options_are_asked_and_charged(rt: Runtime, ada: Shopper, plan: Plan):
    make.make_options(rt, plan, choices=[("mild", "Mild", 0), ("rare", "Rare", 300)])
    missing = ada.post("/checkout", plan="pot", step="box")
    assert missing.status_code == 422
    assert "Choose one: How do you like it?" in missing.text
    assert ada.post("/checkout", plan="pot", **{"option-taste": "poison"}).status_code == 422

    assert place(ada.begin(**{"option-taste": "rare"})) == "delivery"
    ada.deliver()
    page = ada.get(ada.at("pay")).text
    assert "€29.00" in page
    assert "How do you like it?: Rare" in page


def test_without_answers_the_box_comes_first(rt: Runtime, ada: Shopper, plan: Plan):
    make.make_options(rt, plan)
    assert place(ada.begin()) == "box"
    assert place(ada.get(ada.at("pay"))) == "box"
    assert place(ada.post(ada.at("box"), **{"option-taste": "mild"})) == "delivery"


def test_the_interval_can_be_changed_on_the_way(rt: Runtime, ada: Shopper, plan: Plan):
    make.make_price(rt, plan, amount_minor=7410, count=3)
    ada.begin(interval="1m")
    ada.deliver()

    assert place(ada.post(ada.at("box"), interval="3m")) == "pay"

    page = ada.get(ada.at("pay")).text
    assert "€74.10" in page
    assert "3 boxes" in page
    assert ada.post(ada.at("box"), interval="7y").status_code == 422


def test_steps_cannot_be_left_out(ada: Shopper):
    ada.begin()
    assert place(ada.get(ada.at("pay"))) == "delivery"
    assert place(ada.post(ada.at("pay"), consent="y", quote="x")) == "delivery"
    assert place(ada.get(ada.at("finish"))) == "delivery"
    assert place(ada.post(ada.at("finish"))) == "pay"
    assert place(ada.get(ada.at("confirmation"))) == ada.key
    assert place(ada.get(f"/checkout/{ada.key}")) == "delivery"


def test_consent_is_asked_for_and_nothing_is_lost(rt: Runtime, ada: Shopper):
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))

    refused = ada.post(ada.at("pay"), quote=ada.quote)

    assert refused.status_code == 422
    assert "Tick the box to agree that the subscription renews every month for €26.00" in (
        refused.text
    )
    assert "<title>Error:" in refused.text
    assert "Lindenweg 4" in refused.text


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("email", "", "Enter your e-mail"),
        ("email", "ada@", "Enter an e-mail like name@example.com"),
        ("email", "a b@example.org", "Enter an e-mail like name@example.com"),
        ("email", "a" * 300 + "@example.org", "Enter an e-mail like name@example.com"),
        ("name", "", "Enter the name on the doorbell or parcel box"),
        ("name", " \u202e\u200b\x00 ", "Enter the name on the doorbell or parcel box"),
        ("name", "n" * 81, "Name must be 80 characters or fewer"),
        ("street", "", "Enter street and house number"),
        ("street", "s" * 121, "Street must be 120 characters or fewer"),
        ("postcode", "", "Enter the postcode"),
        ("postcode", "0774", "Postcodes there look like 07743. Check yours"),
        ("postcode", "9" * 17, "Postcode must be 16 characters or fewer"),
        ("city", "", "Enter the town"),
        ("country", "XX", "We do not deliver there yet"),
        ("country", "", "We do not deliver there yet"),
        ("company", "c" * 81, "Company must be 80 characters or fewer"),
    ],
)
def test_a_bad_field_says_so_and_keeps_the_others(
    ada: Shopper, name: str, value: str, message: str
):
    ada.begin()

    refused = ada.deliver(**{name: value})

    assert refused.status_code == 422
    assert message in refused.text
    for other in {"email", "name", "street", "city"} - {name}:
        assert ADA[other] in refused.text


def test_an_odd_postcode_can_be_used_as_typed(ada: Shopper):
    ada.begin()
    assert "use it as typed" in ada.deliver(postcode="0774").text

    assert place(ada.deliver(postcode="0774", as_typed="y")) == "pay"


@pytest.mark.parametrize(
    "value",
    [
        "🫖 Tea & Söhne",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "' OR 1=1--",
        "../../etc/passwd",
        "a\r\nSet-Cookie: x=1",
        "NaN",
        "1e309",
        "﷽" * 70,
        "Ame\u0301lie",
    ],
)
def test_any_text_is_a_name(rt: Runtime, ada: Shopper, value: str):
    ada.begin()

    assert place(ada.deliver(name=value, street=value, city=value)) == "pay"

    page = ada.get(ada.at("pay"))
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert ">49<" not in page.text


def test_a_megabyte_in_a_field_is_refused_politely(ada: Shopper):
    ada.begin()
    assert ada.deliver(name="x" * 1_100_000).status_code in (413, 422)


@pytest.mark.parametrize(
    "key", ["chk_", "chk_" + "a" * 26, "%00", "'", "1", "chk_" + "2" * 26, "../..", "ü" * 30]
)
@pytest.mark.parametrize("step", ["", "/box", "/pay", "/finish", "/confirmation", "/waiting"])
def test_an_unknown_order_is_not_found(ada: Shopper, key: str, step: str):
    assert ada.get(f"/checkout/{key}{step}").status_code in (404, 308)


@pytest.mark.parametrize("step", ["box", "delivery", "pay", "finish", "code", "other-card"])
def test_nothing_is_posted_to_an_unknown_order(ada: Shopper, step: str):
    key = "chk_" + "2" * 26
    assert ada.post(f"/checkout/{key}/{step}", code="X", **ADA).status_code == 404


@pytest.mark.parametrize("plan_code", ["", "nothing", "%00", "pot'", "POT", "x" * 300])
def test_an_unknown_plan_cannot_be_chosen(ada: Shopper, plan_code: str):
    assert ada.get(f"/checkout?plan={plan_code}").status_code == 404
    assert ada.post("/checkout", plan=plan_code).status_code == 404


def test_a_posted_price_changes_nothing(rt: Runtime, ada: Shopper):
    ada.begin(amount_minor="1", price_id="1", quantity="-1")
    ada.deliver()

    ada.choose(ada.order(amount_minor="1", due="1"))
    ada.post(ada.at("finish"))

    assert ada.gateway.bank.executed_total("EUR") == 2600


def test_a_code_prices_the_order_again(rt: Runtime, ada: Shopper):
    make.make_code(rt, "LEMON")
    ada.begin()
    ada.deliver()
    before = ada.get(ada.at("pay")) and ada.quote

    assert place(ada.post(ada.at("code"), code=" lemon ", step="pay")) == "pay"
    page = ada.get(ada.at("pay")).text
    assert "€23.40" in page
    assert "Code LEMON" in page
    assert "Then €26.00 on Mon 12 April." in page
    assert ada.quote != before

    assert place(ada.post(ada.at("code/remove"), step="pay")) == "pay"
    assert "€23.40" not in ada.get(ada.at("pay")).text


def test_with_htmx_a_code_changes_summary_and_terms(rt: Runtime, ada: Shopper):
    make.make_code(rt, "LEMON")
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    ada.headers = HTMX

    answer = ada.post(ada.at("code"), code="LEMON", step="pay")

    assert answer.status_code == 200
    assert 'id="summary"' in answer.text
    assert 'hx-target="#pay-form"' in answer.text
    assert "€23.40" in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ends_on": date(2027, 2, 28)}, "LEMON ended on Sun 28 February"),
        ({"limits": {"intervals": ["1 year"]}}, "LEMON is for plans paid every year"),
        ({"limits": {"plans": ["cup"]}}, "LEMON is for another box"),
        ({"max_uses": 0}, "LEMON has been used up"),
    ],
)
def test_a_refused_code_says_why(rt: Runtime, ada: Shopper, values: dict[str, object], words: str):
    make.make_code(rt, "LEMON", **values)
    ada.begin()

    refused = ada.post(ada.at("code"), code="lemon", step="delivery")

    assert refused.status_code == 422
    assert words in refused.text
    assert 'value="lemon"' in refused.text


@pytest.mark.parametrize("typed", ["LEMONN", "🍋", "<b>x</b>", "\x00", "x" * 5000, "' OR 1=1"])
def test_an_unknown_code_is_unknown_however_it_looks(ada: Shopper, typed: str):
    ada.begin()

    refused = ada.post(ada.at("code"), code=typed, step="delivery")

    assert refused.status_code == 422
    assert "We do not know" in refused.text or "Enter a code" in refused.text
    assert "<b>x</b>" not in refused.text


def test_codes_cannot_be_tried_for_ever(rt: Runtime, ada: Shopper):
    make.make_code(rt, "LEMON")
    ada.begin()
    for _ in range(10):
        assert ada.post(ada.at("code"), code="X", step="delivery").status_code == 422

    refused = ada.post(ada.at("code"), code="LEMON", step="delivery")

    assert refused.status_code == 429
    assert "Too many tries. You can go on at 10:01" in refused.text
    assert only(rt, Checkout).promotion_code_id is None


def test_another_price_is_shown_before_it_is_charged(rt: Runtime, ada: Shopper, plan: Plan):
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    make.make_price(rt, plan, amount_minor=2750)

    asked = ada.post(ada.at("pay"), quote=ada.quote, consent="y")

    assert asked.status_code == 422
    assert "€27.50" in asked.text
    assert "checked" not in asked.text
    assert "/x/demo-gateway/" in ada.post(ada.at("pay"), quote=ada.quote, consent="y").location


def test_a_code_used_up_meanwhile_is_said_before_paying(rt: Runtime, ada: Shopper):
    coupon = make.make_code(rt, "LEMON", max_uses=1)
    ada.begin()
    ada.deliver()
    ada.post(ada.at("code"), code="LEMON", step="pay")
    ada.get(ada.at("pay"))
    rt.session.execute(sa.update(Coupon).where(Coupon.id == coupon.id).values(used=1))
    rt.session.commit()

    asked = ada.post(ada.at("pay"), quote=ada.quote, consent="y")

    assert asked.status_code == 422
    assert "LEMON has been used up" in asked.text
    assert "€26.00" in asked.text


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("0002", "Your bank declined the card. Nothing was charged."),
        ("9995", "The card does not have enough money for €26.00. Nothing was charged."),
        ("0069", "The card has expired. Nothing was charged."),
    ],
)
def test_a_declined_card_is_said_above_payment(ada: Shopper, card: str, words: str):
    assert place(ada.buy(card)) == "pay"

    page = ada.get(ada.at("pay"))
    assert words in page.text
    assert "Lindenweg 4" in page.text

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert ada.gateway.bank.executed_count() == 1


def test_a_lost_answer_is_waited_for(ada: Shopper):
    assert place(ada.buy("0408")) == "waiting"

    page = ada.get(ada.at("waiting")).text
    assert "Please do not pay again" in page
    assert 'hx-trigger="every 3s"' in page
    assert "Check again" in page
    for step in ("box", "delivery", "pay", "confirmation"):
        found = ada.get(ada.at(step))
        assert place(found) in ("waiting", ada.key)

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert place(ada.get(ada.at("waiting"))) == ada.key
    assert ada.gateway.bank.executed_count() == 1


def test_after_two_minutes_it_is_asked_less_often(ada: Shopper, clock: FrozenClock):
    ada.buy("0408")
    clock.advance(minutes=3)

    assert 'hx-trigger="every 15s"' in ada.get(ada.at("waiting")).text


def test_the_waiting_page_leads_on_by_itself(rt: Runtime, ada: Shopper):
    ada.buy("0408")
    ada.post(ada.at("finish"))

    polled = ada.client.get(ada.at("waiting"), headers=HTMX)

    assert polled.headers["HX-Redirect"] == f"/checkout/{ada.key}"


def test_a_bank_that_asks_gets_its_own_page(ada: Shopper):
    assert place(ada.buy("3220")) == "waiting"

    page = ada.get(ada.at("waiting")).text
    assert "Your bank wants to know it is you" in page
    confirm = re.search(r'href="([^"]*/confirm/[^"]+)"', page)
    assert confirm
    ada.gateway.bank.confirm_charge(confirm[1].rpartition("/")[2], True)

    assert place(ada.post(ada.at("finish"))) == "confirmation"


def test_another_card_instead_of_the_bank(ada: Shopper):
    ada.buy("3220")

    assert place(ada.post(ada.at("other-card"))) == "pay"
    assert "Nothing was charged" in ada.get(ada.at("pay")).text


def test_a_gateway_that_is_down_keeps_everything(ada: Shopper):
    ada.begin()
    ada.deliver()
    ada.gateway.bank.set_fault("down")

    answer = ada.order()

    assert answer.status_code == 503
    assert "Our payment partner is not answering" in answer.text
    assert "Lindenweg 4" in answer.text


def test_going_back_from_the_gateway_leads_to_payment(ada: Shopper):
    ada.begin()
    ada.deliver()
    ada.order()

    assert place(ada.post(ada.at("finish"))) == "pay"


def test_refresh_and_back_never_charge_again(rt: Runtime, ada: Shopper):
    ada.buy()

    for _ in range(3):
        stale = ada.post(ada.at("finish"))
        assert place(ada.get(stale.location) if place(stale) == ada.key else stale) == (
            "confirmation"
        )
        assert ada.get(ada.at("confirmation")).status_code == 200
        assert place(ada.get(ada.at("pay"))) == "confirmation"
        assert place(ada.get(ada.at("finish"))) == "confirmation"
    assert ada.gateway.bank.executed_count() == 1
    assert count(rt, Subscription) == 1


def test_two_tabs_are_one_order(rt: Runtime, ada: Shopper):
    ada.begin()
    ada.deliver()
    first = ada.order()
    second = ada.order()
    assert first.location == second.location
    ada.choose(first)

    ada.post(ada.at("finish"))
    ada.post(ada.at("finish"))

    assert count(rt, Subscription) == 1


def test_whoever_orders_anew_is_signed_in_where_they_ordered(app: Flask, rt: Runtime, ada: Shopper):
    ada.buy()
    assert only(rt, LoginSession).method == "checkout"
    assert only(rt, LoginSession).customer_id == only(rt, Customer).id

    other = Shopper(app.test_client(), ada.gateway, key=ada.key)
    other.post(other.at("finish"))

    assert count(rt, LoginSession) == 1


def test_an_account_that_was_there_is_not_opened(rt: Runtime, ada: Shopper):
    make.make_customer(rt, email="ada@example.org", name="Augusta Secret")

    assert place(ada.buy()) == "confirmation"

    assert count(rt, LoginSession) == 0
    page = ada.get(ada.at("confirmation")).text
    assert "Augusta Secret" not in page
    assert "Sign in to your account" in page


def test_an_order_that_ran_out_begins_again(rt: Runtime, ada: Shopper):
    ada.begin()
    rt.session.execute(sa.update(Checkout).values(state="expired"))
    rt.session.commit()

    again = ada.get(ada.at("delivery"))

    assert again.status_code == 303
    assert "/checkout?plan=pot" in again.location
    assert "start again" in ada.get(again.location).text


def test_where_the_shopper_came_from_is_kept(rt: Runtime, ada: Shopper):
    page = ada.get("/checkout?plan=pot&utm_source=letter&utm_medium=mail").text
    assert 'name="utm_source" value="letter"' in page

    ada.begin(utm_source="letter", utm_medium="mail\x00")
    assert only(rt, Checkout).source == {"utm_source": "letter", "utm_medium": "mail"}


def test_nothing_of_an_order_may_be_stored_by_a_browser(ada: Shopper):
    ada.begin()
    assert ada.get(ada.at("delivery")).headers["Cache-Control"] == "no-store"


def test_a_post_without_its_token_is_refused(client: FlaskClient, plan: Plan):
    assert client.post("/checkout", data={"plan": "pot"}).status_code == 400


def test_nothing_to_pay_asks_for_the_card_only(rt: Runtime, ada: Shopper):
    make.make_code(rt, "GIFT", percent=100)
    ada.begin()
    ada.deliver()
    ada.post(ada.at("code"), code="GIFT", step="pay")
    assert "Nothing is charged now" in ada.get(ada.at("pay")).text

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"

    assert "Nothing was charged today" in ada.get(ada.at("confirmation")).text
    assert ada.gateway.bank.executed_count() == 0
