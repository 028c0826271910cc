"""The steps from a plan to payment, as a browser without JavaScript and with htmx walks them."""

import re
from datetime import date
from itertools import product

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Checkout, Coupon, Option, Plan, Subscription
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count, only
from tests.support.shopper import ADA, HTMX, Shopper, place


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def test_the_confirmation_names_each_thing_that_was_paid(rt: Runtime, ada: Shopper):
    make.make_zone(rt, "DE", 490)
    make.make_code(rt, "LEMON")
    ada.begin()
    ada.deliver()
    ada.post(ada.at("code"), code="LEMON")
    ada.get(ada.at("pay"))
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    done = ada.get(ada.at("confirmation")).text
    assert "Paid. €28.30 from Visa" in done
    pairs = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", done)
    for pair in (("Pot", "€26.00"), ("Delivery", "€4.90"), ("Discount LEMON", "−€2.60")):
        assert pair in pairs


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


def test_the_answers_of_an_order_stand_in_the_language_of_the_shopper(
    rt: Runtime, ada: Shopper, plan: Plan
):
    make.make_options(rt, plan, choices=[("mild", "Mild", 0), ("rare", "Rare", 300)])
    german = {"de": {"name": "Blutig"}}
    rare = Option.code == "rare"
    rt.session.execute(sa.update(Option).where(rare).values(translations=german))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    ada.begin(**{"option-taste": "rare"})
    ada.deliver()
    assert "<br>Blutig" in ada.get(f"{ada.at('pay')}?lang=de").text
    assert "<br>Rare" in ada.get(f"{ada.at('pay')}?lang=en").text


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


BAD_FIELDS = [
    ("email", "", "Enter your e-mail"),
    ("email", "ada@", "Enter an e-mail like name@example.com"),
    ("email", "a b@example.org", "Enter an e-mail like name@example.com"),
    ("email", "a" * 300 + "@example.org", "Enter an e-mail like name@example.com"),
    ("name", "", "Enter the name on the doorbell or parcel box"),
    ("name", " \u202e\u200b ", "Enter the name on the doorbell or parcel box"),
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
]


def test_a_bad_field_says_so_and_keeps_the_others(ada: Shopper):
    ada.begin()
    for name, value, message in BAD_FIELDS:
        refused = ada.deliver(**{name: value})

        assert refused.status_code == 422, (name, value)
        assert message in refused.text, (name, value)
        for other in {"email", "name", "street", "city"} - {name}:
            assert ADA[other] in refused.text, (name, value, other)


def test_an_odd_postcode_can_be_used_as_typed(ada: Shopper):
    ada.begin()
    assert "use it as typed" in ada.deliver(postcode="0774").text

    assert place(ada.deliver(postcode="0774", as_typed="y")) == "pay"


ODD_TEXTS = [
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
]


def test_any_text_is_a_name(ada: Shopper):
    ada.begin()
    for value in ODD_TEXTS:
        assert place(ada.deliver(name=value, street=value, city=value)) == "pay", value

        page = ada.get(ada.at("pay"))
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert ">49<" not in page.text


def test_a_megabyte_in_a_field_is_refused_politely(ada: Shopper):
    ada.begin()
    assert ada.deliver(name="x" * 1_100_000).status_code in (413, 422)


def test_an_unknown_order_is_not_found(ada: Shopper):
    ids = ("chk_", "chk_" + "a" * 26, "chk_" + "2" * 26, "%00", "'", "1", "../..", "ü" * 30)
    for key, step in product(ids, ("", "/box", "/pay", "/finish", "/confirmation", "/waiting")):
        assert ada.get(f"/checkout/{key}{step}").status_code in (400, 404, 308), (key, step)


def test_nothing_is_posted_to_an_unknown_order(ada: Shopper):
    key = "chk_" + "2" * 26
    for step in ("box", "delivery", "pay", "finish", "code", "code/remove", "other-card"):
        answer = ada.post(f"/checkout/{key}/{step}", code="X", **ADA)
        assert answer.status_code == 404, step


def test_an_unknown_plan_cannot_be_chosen(ada: Shopper):
    for code in ("", "nothing", "pot'", "POT", "x" * 300):
        assert ada.get(f"/checkout?plan={code}").status_code == 404, code
        assert ada.post("/checkout", plan=code).status_code == 404, code


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


def test_a_refused_code_says_why(rt: Runtime, ada: Shopper):
    ada.begin()
    reasons: list[tuple[str, dict[str, object], str]] = [
        ("ENDED", {"ends_on": date(2027, 2, 28)}, "ENDED ended on Sun 28 February"),
        ("YEAR", {"limits": {"intervals": ["1 year"]}}, "YEAR is for plans paid every year"),
        ("CUP", {"limits": {"plans": ["cup"]}}, "CUP is for another box"),
        ("GONE", {"max_uses": 0}, "GONE has been used up"),
    ]
    for code, values, words in reasons:
        make.make_code(rt, code, **values)

        refused = ada.post(ada.at("code"), code=code.lower(), step="delivery")

        assert refused.status_code == 422, code
        assert words in refused.text
        assert f'value="{code.lower()}"' in refused.text


def test_an_unknown_code_is_unknown_however_it_looks(ada: Shopper):
    ada.begin()
    for typed in ("LEMONN", "🍋", "<b>x</b>", "x" * 5000, "' OR 1=1"):
        refused = ada.post(ada.at("code"), code=typed, step="delivery")

        assert refused.status_code == 422, typed
        assert "We do not know" in refused.text or "Enter a code" in refused.text, typed
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


def test_what_was_typed_and_refused_is_there_again_when_the_page_is_loaded_anew(ada: Shopper):
    ada.begin()
    refused = ada.deliver(name="Ada Weber", street="Am Hafen 1", postcode="077", avoid="nuts")
    assert refused.status_code == 422

    again = ada.get(ada.at("delivery"))

    assert again.status_code == 200
    for typed in ("Ada Weber", "Am Hafen 1", 'value="077"', ADA["email"]):
        assert typed in again.text
    # Only on the step it was typed on, and only until that is through.
    assert "Am Hafen 1" not in ada.get(ada.at("gift")).text
    with ada.client.session_transaction() as kept:
        assert "nuts" not in str(kept["unsaved"])
    assert place(ada.deliver()) == "pay"
    assert "Am Hafen 1" not in ada.get(ada.at("delivery")).text
    with ada.client.session_transaction() as kept:
        assert "unsaved" not in kept
