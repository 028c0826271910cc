"""The account as its customer meets it, with and without the script."""

import re
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.database import reading
from storefront.domain.changes import Wish
from storefront.domain.money import Money
from storefront.extensions import db
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    BoxSkip,
    Customer,
    CycleGroup,
    Invoice,
    Price,
    Subscription,
)
from storefront.operations.customer_credit import grant_credit
from storefront.queries import account as accounts
from storefront.queries import account_home
from storefront.runtime import Runtime
from storefront.services.changes import change, quote_change
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.visitor import Visitor, customer_with_password, text_of

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ada's subscription, ordered on 2 March, with a recipe of two teas."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    teas = [make.make_variant(rt, name=name) for name in ("Kukicha", "Earl Grey")]
    make.make_recipe(rt, plan, variants=teas)
    return make.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def cycle(rt: Runtime, key: str) -> str:
    found = rt.session.execute(sa.select(BoxCycle.public_id).where(BoxCycle.key == key))
    public = found.scalar_one()
    rt.session.rollback()
    return public


def skip_url(rt: Runtime, sub: Subscription, key: str, act: str = "skip") -> str:
    return f"/account/subscriptions/{sub.public_id}/boxes/{cycle(rt, key)}/{act}"


def test_home_says_when_what_and_how_much(ada: Visitor) -> None:
    page = text_of(ada.get("/account/").text)
    assert "Box of March" in page
    # Who has several subscriptions tells their boxes apart by the plan.
    assert "Box of March Pot" in page
    assert "Thu 11 March, 23:59 (9 days, Berlin time)" in page
    assert "Thu 18 March" in page
    assert "Kukicha and Earl Grey" in page
    assert "Lindenweg 4, Jena" in page
    assert "€26.00 on Mon 12 April" in page
    assert "Visa ending 4242" in page


def test_six_boxes_are_shown_with_their_dates_and_prices(ada: Visitor, sub: Subscription) -> None:
    page = text_of(ada.get(f"/account/subscriptions/{sub.public_id}").text)
    for month in ("March", "April", "May", "June", "July", "August"):
        assert f"Box of {month}" in page
    assert "Box of September" not in page
    assert page.count("€26.00 ·") == 5


def test_what_the_page_announces_is_what_is_charged(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription
) -> None:
    with reading():
        found = account_home.home(rt.session, sub.customer_id or 0, rt.moment(), rt.shop.taxes)
        rt.session.rollback()
    view = found.subscriptions[0]
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    newest = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    assert view.next_charge_on == date(2027, 4, 12) == newest.due_on
    assert view.next_amount is not None
    assert view.next_amount.minor == newest.paid_minor == 2600


def test_a_change_that_waits_is_in_what_is_announced_and_charged(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription
) -> None:
    cup = make.make_plan(rt, group=rt.session.scalars(sa.select(CycleGroup)).one(), name="Cup")
    rt.session.execute(sa.update(Price).where(Price.plan_id == cup.id).values(amount_minor=1600))
    rt.session.commit()
    price = make.price_of(rt, cup).public_id
    clock.advance(days=3)
    quote = quote_change(rt, sub.customer_id or 0, sub.public_id, Wish(price))
    rt.session.rollback()
    change(rt, sub.customer_id or 0, sub.public_id, Wish(price), quote.quote_hash)
    page = text_of(ada.get(f"/account/subscriptions/{sub.public_id}").text)
    assert "€26.00 a month" in page
    assert "From 12 Apr Cup, €16.00 a month" in page
    assert "From 12 Apr Cup, monthly" in text_of(ada.get("/account/").text)
    assert "€16.00 on Mon 12 April" in page
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    newest = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    assert newest.paid_minor == 1600


def test_a_discount_is_announced_for_as_long_as_it_lasts(rt: Runtime) -> None:
    make.make_code(rt, "SPRING", percent=50, duration="cycles", cycles=3)
    discounted = make.make_subscription(rt, code="SPRING")
    with reading():
        view = accounts.subscription(
            rt.session,
            discounted.customer_id or 0,
            discounted.public_id,
            rt.moment(),
            rt.shop.taxes,
        )
        rt.session.rollback()
    assert view is not None
    amounts = [box.amount.minor for box in view.boxes if box.amount]
    assert amounts == [1300, 1300, 2600, 2600, 2600]
    assert view.discounts == (("SPRING", 2),)


@pytest.mark.parametrize("many", [1, 4])
def test_home_reads_with_the_same_few_statements_for_any_number(rt: Runtime, many: int) -> None:
    customer = make.make_customer(rt)
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    for _ in range(many):
        make.make_subscription(rt, plan=plan, customer=customer)
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert rt.shop.currency == "EUR"
    rt.session.rollback()
    statements.clear()
    with reading():
        found = account_home.home(rt.session, customer.id, rt.moment(), rt.shop.taxes)
        rt.session.rollback()
    assert len(found.subscriptions) == many
    asked = [one for one in statements if one.lstrip().upper().startswith("SELECT")]
    assert len(asked) == 5


def test_home_names_the_credit_that_the_next_charge_uses(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    grant_credit(
        rt.session, sub.customer_id, Money(620, "EUR"), "goodwill", "left out", rt.moment()
    )
    rt.session.commit()
    assert "€6.20, used before the card" in text_of(ada.get("/account/").text)


def test_skipping_without_the_script_comes_back_with_the_answer(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    ada.get("/account/")
    answer = ada.post(skip_url(rt, sub, "2027-04"), **{"from": "home"})
    assert (answer.status_code, answer.location) == (303, "/account/")
    page = text_of(ada.get("/account/").text)
    assert page.count("Skipped. You are not charged on Mon 12 April.") == 2
    assert "€26.00 on Wed 12 May" in page


def test_skipping_with_the_script_swaps_the_card_and_keeps_the_button(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    before = ada.get("/account/").text
    march = cycle(rt, "2027-03")
    button = f'id="act-{sub.public_id}-{march}"'
    assert button in before
    answer = ada.post(skip_url(rt, sub, "2027-03"), htmx=True, **{"from": "home"})
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert f'id="sub-{sub.public_id}"' in answer.text
    assert button in answer.text
    assert "Skipped. Your paid box moves to Mon 19 April." in answer.text
    assert 'hx-target="#status"' in answer.text
    assert f"/boxes/{march}/undo-skip" in answer.text


def test_two_subscriptions_in_one_cycle_share_no_name_on_the_page(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    customer = rt.session.get(Customer, sub.customer_id)
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    plan = make.make_plan(rt, code="cup", group=group)
    second = make.make_subscription(rt, plan=plan, customer=customer)
    rt.session.rollback()
    page = ada.get("/account/").text
    march = cycle(rt, "2027-03")
    for each in (sub, second):
        assert page.count(f"/{each.public_id}/boxes/{march}/skip") > 0
    names = re.findall(r'\sid="([^"]+)"', page)
    assert [name for name in names if names.count(name) > 1] == []


def test_undo_stands_on_the_row_and_works(rt: Runtime, ada: Visitor, sub: Subscription) -> None:
    ada.get("/account/")
    ada.post(skip_url(rt, sub, "2027-03"))
    answer = ada.post(skip_url(rt, sub, "2027-03", "undo-skip"), htmx=True)
    assert "Your box ships on Thu 18 March again." in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxSkip)) == 0


def test_two_quick_clicks_end_in_one_state(rt: Runtime, ada: Visitor, sub: Subscription) -> None:
    ada.get("/account/")
    ada.post(skip_url(rt, sub, "2027-03"))
    again = ada.post(skip_url(rt, sub, "2027-03"), htmx=True)
    assert again.status_code == 200
    assert "Already skipped a moment ago." in again.text


def test_a_stale_click_gets_the_new_truth(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription
) -> None:
    ada.get("/account/")
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    answer = ada.post(skip_url(rt, sub, "2027-03"), htmx=True, **{"from": "home"})
    text = text_of(answer.text)
    assert "This box is being packed and cannot be changed any more." in text
    assert "The next one you can change ships on Mon 19 April, until Sun 11 April." in text
    assert f"/boxes/{cycle(rt, '2027-03')}/skip" not in answer.text


def test_after_the_cut_off_the_buttons_are_gone(
    rt: Runtime, clock: FrozenClock, ada: Visitor
) -> None:
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    page = ada.get("/account/").text
    assert "Being packed" in page
    assert f"/boxes/{cycle(rt, '2027-03')}/skip" not in page
    assert f"/boxes/{cycle(rt, '2027-04')}/skip" in page


def test_leaving_takes_two_clicks_and_can_be_taken_back(ada: Visitor, sub: Subscription) -> None:
    page = ada.get(f"/account/subscriptions/{sub.public_id}")
    leave = f"/account/subscriptions/{sub.public_id}/cancel"
    assert f'href="{leave}"' in page.text
    step = text_of(ada.get(leave).text)
    assert "It ends on Fri 2 April. No charge on that day or later." in step
    assert "A box is paid and still ships on Thu 18 March." in step
    done = ada.post(leave)
    assert done.status_code == 303
    result = text_of(ada.get(done.location).text)
    assert "Cancelled. You will not be charged again." in result
    assert "received on Tue 2 March, 10:00" in result
    assert "Undo" in result
    kept = ada.post(f"{leave}/undo")
    assert kept.status_code == 303
    after = text_of(ada.get(f"/account/subscriptions/{sub.public_id}").text)
    assert "Your subscription goes on as before." in after
    assert "Cancel subscription" in after


def test_the_confirm_button_comes_before_any_offer(ada: Visitor, sub: Subscription) -> None:
    page = ada.get(f"/account/subscriptions/{sub.public_id}/cancel").text
    confirm = page.index("<span>Cancel subscription</span></button>")
    assert confirm < page.index("Rather a break?")
    assert "Why are you leaving?" not in page


def test_the_end_is_shown_until_it_comes(ada: Visitor, sub: Subscription) -> None:
    ada.get("/account/")
    ada.post(f"/account/subscriptions/{sub.public_id}/cancel")
    page = text_of(ada.get("/account/").text)
    assert "Ends on 2 Apr" in page
    assert "Next charge" not in page
    assert "Box of April" not in page
    again = ada.get(f"/account/subscriptions/{sub.public_id}/cancel")
    assert again.status_code == 303


def test_what_ends_can_be_kept_from_the_first_page(ada: Visitor, sub: Subscription) -> None:
    leave = f"/account/subscriptions/{sub.public_id}/cancel"
    assert "Keep my subscription" not in ada.get("/account/").text
    ada.post(leave)

    page = ada.get("/account/").text
    assert "It ends on Fri 2 April." in text_of(page)
    form = re.search(rf'<form[^>]*action="{leave}/undo".*?</form>', page, re.DOTALL)
    assert form is not None
    assert "Keep my subscription" in form[0]
    kept = ada.post(f"{leave}/undo", **{"from": "home"})

    assert (kept.status_code, kept.location) == (303, "/account/")
    after = text_of(ada.get("/account/").text)
    assert "Your subscription goes on as before." in after
    assert "Cancel subscription" in after
    assert "Keep my subscription" not in after


def test_an_address_is_changed_and_the_first_box_named(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/address"
    form = text_of(ada.get(url).text)
    assert "First box with this address: the one that ships on Thu 18 March." in form
    typed = {
        "name": "Ada Lovelace",
        "country": "DE",
        "street": "Am Markt 1",
        "postcode": "07745",
        "city": "Jena",
    }
    assert ada.post(url, **typed).status_code == 303
    page = text_of(ada.get(f"/account/subscriptions/{sub.public_id}").text)
    assert "The first box with this address ships on Thu 18 March." in page
    assert "Am Markt 1, Jena" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_bad_address_keeps_what_was_typed(
    rt: Runtime, ada: Visitor, sub: Subscription, htmx: bool
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/address"
    ada.get(url)
    typed = {"name": "", "country": "DE", "street": "Am Markt 1", "postcode": "0774", "city": "X"}
    answer = ada.post(url, htmx=htmx, **typed)
    assert answer.status_code == 422
    assert "Enter the name on the doorbell or parcel box" in answer.text
    assert "Postcodes there look like 07743. Check yours" in answer.text
    assert 'value="Am Markt 1"' in answer.text
    assert 'value="0774"' in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Address)) == 1


@pytest.mark.parametrize(
    ("language", "country"), [("en", "Germany"), ("de", "Deutschland"), ("fr", "Allemagne")]
)
def test_a_country_is_called_by_its_name(ada: Visitor, language: str, country: str) -> None:
    link = re.search(r'href="(/account/invoices/inv_[^"]+)"', ada.get("/account/invoices").text)
    assert link is not None
    for page in (link[1], "/account/addresses"):
        address = re.search(
            r"<address>.*?</address>", ada.get(f"{page}?lang={language}").text, re.DOTALL
        )
        assert address is not None
        assert address[0].endswith(f"<br>{country}</address>")


@pytest.mark.parametrize("htmx", [False, True])
def test_a_refused_form_says_error_in_its_title(
    ada: Visitor, sub: Subscription, htmx: bool
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/address"
    assert "<title>Error:" not in ada.get(url).text
    answer = ada.post(url, htmx=htmx, name="")
    assert answer.status_code == 422
    # The script puts the word before the title of the page that is open, so a partial has none.
    assert ("<title>Error: Change address" in answer.text) is not htmx
    assert 'data-error="Error:"' in ada.get(url).text


def test_the_timeline_speaks_in_plain_words(rt: Runtime, ada: Visitor, sub: Subscription) -> None:
    ada.get("/account/")
    ada.post(skip_url(rt, sub, "2027-04"))
    page = text_of(ada.get(f"/account/subscriptions/{sub.public_id}").text)
    assert "The box of Mon 19 April is skipped." in page
    assert "Your subscription began." in page
    assert "subscription." not in page.replace("Your subscription.", "")
    assert "Something was noted." not in page


def test_sign_ins_are_listed_and_ended(app: Flask, ada: Visitor) -> None:
    other = Visitor.of(app).sign_in(ADA)
    page = ada.get("/account/security").text
    ends = re.findall(r'action="(/account/security/sessions/[0-9a-f]+/end)"', page)
    assert len(ends) == 2
    assert page.count("This browser") == 1
    ada.post("/account/security/sessions/end-others")
    assert other.get("/account/").status_code == 303
    assert ada.get("/account/").status_code == 200


def test_a_new_password_signs_other_browsers_out(app: Flask, ada: Visitor) -> None:
    other = Visitor.of(app).sign_in(ADA)
    ada.get("/account/security")
    wrong = ada.post("/account/security/password", present="guess", new="another password")
    assert wrong.status_code == 422
    assert "That is not your present password" in wrong.text
    right = ada.post(
        "/account/security/password", present="a good password", new="another password"
    )
    assert right.status_code == 303
    assert other.get("/account/").status_code == 303
    assert ada.get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("short_stock", "Something in it has run out."),
        ("no_address", "We cannot deliver to its address now."),
        ("no_recipe", "It did not leave with the others."),
    ],
)
def test_a_held_box_says_why_it_waits(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription, problem: str, words: str
) -> None:
    rt.session.execute(sa.update(Box).values(state="held", problem=problem))
    rt.session.commit()
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    for path in ("/account/", f"/account/subscriptions/{sub.public_id}"):
        text = text_of(ada.get(path).text)
        assert words in text, path
        assert "being packed" not in text


def test_the_privacy_page_says_what_is_held(ada: Visitor) -> None:
    page = text_of(ada.get("/account/privacy").text)
    assert ADA in page
    assert "1 subscription, 1 box" in page
    assert "1 invoice, 1 stored card without its number" in page
    assert "I agree." in page


def test_somebody_without_a_subscription_is_shown_the_way(rt: Runtime, app: Flask) -> None:
    customer_with_password(rt, "new@example.org")
    page = Visitor.of(app).sign_in("new@example.org").get("/account/")
    assert "No subscription yet" in page.text
