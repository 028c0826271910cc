"""Changing the plan on the account's pages, as page and as partial."""

import re
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import (
    Consent,
    Customer,
    CycleGroup,
    Invoice,
    Option,
    OptionGroup,
    Plan,
    Price,
    Subscription,
)
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.services.places import set_places
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = factories.make_plan(rt, group=factories.make_group(rt, cycles=30))
    return factories.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def yearly(rt: Runtime, sub: Subscription) -> Price:
    plan = rt.session.get(Plan, sub.plan_id)
    rt.session.expunge(plan)
    rt.session.rollback()
    return factories.make_price(rt, plan, amount_minor=28080, unit="year")


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def price_now(rt: Runtime, sub: Subscription) -> str:
    found = rt.session.scalar(sa.select(Price.public_id).where(Price.id == sub.price_id))
    rt.session.rollback()
    return str(found)


def hash_of(page: str) -> str:
    return re.search(r'name="quote_hash" value="([^"]*)"', page)[1]


@pytest.mark.parametrize("htmx", [False, True])
def test_the_preview_names_what_is_due_and_the_button_pays_exactly_that(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, demo_gateway, htmx: bool
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert "early" in ada.get(url).text

    page = ada.get(f"{url}?price={yearly.public_id}").text
    assert "Change and pay €254.80" in page
    answer = ada.post(url, htmx=htmx, price=yearly.public_id, quote_hash=hash_of(page))

    assert answer.status_code == (200 if htmx else 303)
    rt.session.expire_all()
    assert rt.session.scalar(sa.select(Subscription.price_id)) == yearly.id
    assert demo_gateway.bank.executed_total("EUR") == 28080


def test_a_plan_that_is_sold_out_is_named_with_its_waiting_list_and_not_changed_to(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    cellar = factories.make_plan(rt, name="Cellar", code="cellar")
    price = factories.make_price(rt, cellar, amount_minor=3200).public_id
    factories.make_subscription(rt, plan=cellar)
    set_places(rt, make_staff(rt), cellar.public_id, 1, sells_by_stock=False)
    url = f"/account/subscriptions/{sub.public_id}/plan"
    for address in (url, f"{url}?price={price}"):
        page = ada.get(address).text
        assert re.search(
            rf'<input type="radio" name="price" value="{price}" id="[^"]*" disabled', page
        )
        assert "Sold out for now" in page
        assert '/waiting/plans/cellar"' in page
        assert "Change and pay" not in page
        # What they have stays picked.
        assert re.search(rf'value="{price_now(rt, sub)}" id="[^"]*" checked', page)

    answer = ada.post(url, price=price, quote_hash="any")
    assert answer.status_code == 409
    assert "That is sold out for now. Nothing was changed." in answer.text
    rt.session.expire_all()
    assert rt.session.get_one(Subscription, sub.id).plan_id == sub.plan_id


def test_both_sides_of_a_change_have_delivery_and_codes_in_their_price(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    factories.make_zone(rt, "DE", 490)
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    table = factories.make_plan(rt, group=group, name="Table", code="table")
    price = factories.make_price(rt, table, amount_minor=4200)

    page = ada.get(f"/account/subscriptions/{sub.public_id}/plan?price={price.public_id}").text

    sides = re.sub(r"<[^>]+>", " ", page[page.index("<table") : page.index("</table>")])
    prices = re.findall(r"€([0-9.]+) a month", sides)
    assert prices == ["30.90", "46.90"]


def test_a_new_period_is_offered_only_where_it_ends_on_another_day(
    rt: Runtime, ada: Visitor, sub: Subscription, clock
) -> None:
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    table = factories.make_plan(rt, group=group, name="Table", code="table")
    monthly = factories.make_price(rt, table, amount_minor=4200)
    yearly = factories.make_price(rt, table, amount_minor=45000, unit="year")
    url = f"/account/subscriptions/{sub.public_id}/plan"
    offers = 'id="when-restart"'
    # Everybody of this group pays on the twelfth: today's box and the next charge are the same.
    page = ada.get(f"{url}?price={monthly.public_id}").text
    assert ('id="when-boundary"' in page, offers in page) == (True, False)
    assert offers in ada.get(f"{url}?price={monthly.public_id}&when=restart").text

    quoted = ada.get(f"{url}?price={yearly.public_id}").text
    ada.post(url, price=yearly.public_id, quote_hash=hash_of(quoted))
    clock.advance(days=20)
    # Some weeks into a year another year from today is another choice.
    assert offers in ada.get(f"{url}?price={yearly.public_id}&quantity=2").text


def test_a_stale_preview_is_shown_again_instead_of_booked(
    ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    ada.get(f"{url}?price={yearly.public_id}")
    answer = ada.post(url, price=yearly.public_id, quote_hash="old")
    assert answer.status_code == 409
    assert "This changed meanwhile" in answer.text
    assert "Change and pay €254.80" in answer.text


def test_an_unknown_price_or_subscription_is_not_there(
    ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert ada.get(f"{url}?price=pri_nothing").status_code == 404
    assert ada.get("/account/subscriptions/sub_nothing/plan").status_code == 404
    assert ada.get("/account/payment/back/inv_nothing").status_code == 404


def test_a_waiting_change_is_shown_and_can_be_taken_back(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, clock
) -> None:
    clock.advance(days=3)
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}&when=boundary").text
    assert "Change on Mon 12 April" in page
    ada.post(url, price=yearly.public_id, when="boundary", quote_hash=hash_of(page))

    assert "Until then nothing changes" in ada.get(url).text
    ada.post(f"{url}/keep")
    assert "Show what changes" in ada.get(url).text
    history = ada.get(f"/account/subscriptions/{sub.public_id}").text
    assert "A change to Pot was planned for 12 April 2027." in history
    assert "The change was taken back." in history


def test_the_words_above_the_button_are_kept_as_they_were_shown(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}").text
    said = (
        "I agree that Pot renews every year for €280.80 in total, "
        "next on 12 March 2028, until I cancel. I can cancel online at any time."
    )
    # What is kept makes sense where no button is.
    assert f"With the button below: {said}" in page

    ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))

    kept = rt.session.scalars(sa.select(Consent).order_by(Consent.id.desc()).limit(1)).one()
    assert (kept.text, kept.subscription_id, kept.ip) == (said, sub.id, "127.0.0.1")


def test_the_same_button_pressed_again_shows_the_outcome(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, demo_gateway
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}").text
    first, second = (
        ada.post(url, price=yearly.public_id, quote_hash=hash_of(page)) for _ in range(2)
    )

    assert (first.status_code, second.status_code) == (303, 303)
    assert "Already done a moment ago" in ada.get(second.location).text
    assert demo_gateway.bank.executed_total("EUR") == 28080


def test_a_change_that_was_noted_already_says_so(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    cup = factories.make_plan(rt, group=group, name="Cup", code="cup")
    rt.session.execute(sa.update(Price).where(Price.plan_id == cup.id).values(amount_minor=1600))
    rt.session.commit()
    price = factories.price_of(rt, cup).public_id
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={price}").text
    answers = [ada.post(url, price=price, quote_hash=hash_of(page)) for _ in range(2)]

    assert [one.status_code for one in answers] == [303, 303]
    assert "Already noted a moment ago" in ada.get(answers[1].location).text


def test_a_plan_that_asks_something_is_offered_and_the_change_carries_the_answers(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    table = factories.make_plan(rt, group=group, name="Table", code="table")
    factories.make_options(rt, table)
    rt.session.execute(sa.update(Price).where(Price.plan_id == table.id).values(amount_minor=3900))
    rt.session.commit()
    price = factories.price_of(rt, table).public_id
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert "Table" in ada.get(url).text

    asked = ada.get(f"{url}?price={price}").text
    names = sorted(set(re.findall(r'name="(option-[^"]+)" value="([^"]+)"', asked)))
    assert names
    assert "Choose for your new box" in asked
    assert "quote_hash" not in asked

    answers = dict(names)
    query = "&".join(f"{name}={value}" for name, value in answers.items())
    page = ada.get(f"{url}?price={price}&{query}").text
    done = ada.post(url, price=price, quote_hash=hash_of(page), **answers)

    assert done.status_code == 303
    kept = {name.removeprefix("option-"): value for name, value in answers.items()}
    rt.session.expire_all()
    row = rt.session.execute(sa.select(Subscription.options, Subscription.plan_id)).one()
    assert (row.options, row.plan_id) == (kept, table.id)


def test_both_sides_of_a_change_stand_in_the_language_of_who_reads(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    table = factories.make_plan(rt, group=group, name="Table", code="table")
    factories.make_options(rt, table)
    for kind, german in ((Plan, "Tafel"), (OptionGroup, "Wie mögen Sie es?"), (Option, "Kräftig")):
        told = {"de": {"name": german}}
        rt.session.execute(sa.update(kind).where(kind.code != "pot").values(translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    price = factories.price_of(rt, table).public_id
    url = f"/account/subscriptions/{sub.public_id}/plan"

    page = ada.get(f"{url}?price={price}&option-taste=strong&lang=de").text

    assert "quote_hash" in page
    sides = re.sub(r"<[^>]+>", " ", page[page.index("<table") : page.index("</table>")])
    assert "Tafel" in sides
    assert "Wie mögen Sie es?" in sides
    assert "Kräftig" in sides
    assert "Table" not in sides
    assert "Strong" not in sides
    # The list above them, too.
    assert "Tafel, monatlich" in page
    assert "Table, " not in page


def test_a_question_without_answers_hides_no_plan(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    table = factories.make_plan(rt, group=group, name="Table", code="table")
    factories.save(rt, OptionGroup(plan_id=table.id, code="empty", name="Empty?", position=1))
    price = factories.price_of(rt, table).public_id

    page = ada.get(f"/account/subscriptions/{sub.public_id}/plan?price={price}").text

    assert "Empty?" not in page
    assert "quote_hash" in page


def test_a_yearly_subscriber_sees_the_next_charge_everywhere(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, clock
) -> None:
    url = f"/account/subscriptions/{sub.public_id}"
    page = ada.get(f"{url}/plan?price={yearly.public_id}").text
    ada.post(f"{url}/plan", price=yearly.public_id, quote_hash=hash_of(page))
    year = date(2028, 3, 12)

    for path in ("/account/", url, f"{url}/cancel", "/account/payment"):
        text = ada.get(path).text
        assert "€280.80 on Sun 12 March 2028" in text, path

    clock.set(datetime(2028, 3, 12, 9, 0, tzinfo=UTC))
    rt.session.rollback()
    run_renewals(rt)
    newest = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    assert (newest.due_on, newest.total_minor) == (year, 28080)


def test_a_code_that_goes_on_is_named_beside_the_prices_it_lowers(app: Flask, rt: Runtime) -> None:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = factories.make_plan(rt, group=factories.make_group(rt, cycles=30))
    yearly = factories.make_price(rt, plan, amount_minor=28080, unit="year")
    factories.make_code(rt, "HALF", percent=50, duration="forever")
    sub = factories.make_subscription(rt, plan=plan, customer=customer, code="HALF")

    url = f"/account/subscriptions/{sub.public_id}/plan?price={yearly.public_id}"
    page = Visitor.of(app).sign_in(ADA).get(url).text

    assert "€140.40 a year" in page
    assert "Your code HALF goes on: the prices above count it." in page


def test_what_has_the_same_or_a_higher_price_now_is_not_offered_to_who_has_it(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    plan = rt.session.get_one(Plan, sub.plan_id)
    dearer = factories.make_price(rt, plan, amount_minor=2900)
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert dearer.public_id not in ada.get(url).text

    cheaper = factories.make_price(rt, plan, amount_minor=2400)
    assert cheaper.public_id in ada.get(url).text


def test_a_code_that_does_not_fit_rests_and_the_preview_says_so(app: Flask, rt: Runtime) -> None:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = factories.make_plan(rt, group=factories.make_group(rt, cycles=30))
    yearly = factories.make_price(rt, plan, amount_minor=28080, unit="year")
    limits = {"intervals": ["1 month"]}
    factories.make_code(rt, "MONTHLY", percent=50, duration="forever", limits=limits)
    sub = factories.make_subscription(rt, plan=plan, customer=customer, code="MONTHLY")
    ada = Visitor.of(app).sign_in(ADA)
    url = f"/account/subscriptions/{sub.public_id}/plan"

    page = ada.get(f"{url}?price={yearly.public_id}").text

    assert "Your code MONTHLY is not for this plan or interval." in page
    assert "Change and pay €267.80" in page
    ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))
    newest = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    assert newest.total_minor == 26780
    assert (
        "rests: it is not for this plan" in ada.get(f"/account/subscriptions/{sub.public_id}").text
    )


@pytest.mark.parametrize("htmx", [False, True])
def test_more_of_the_same_is_shown_on_both_sides_and_paid_at_once(
    rt: Runtime, ada: Visitor, sub: Subscription, demo_gateway, htmx: bool
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    price = price_now(rt, sub)
    page = ada.get(f"{url}?price={price}&quantity=2", htmx=htmx).text
    assert '<th scope="row">Quantity</th><td>1</td><td>2</td>' in page
    assert "Change and pay €26.00" in page
    assert "your payment day stays" in page

    ada.post(url, htmx=htmx, price=price, quantity="2", when="now", quote_hash=hash_of(page))

    rt.session.expire_all()
    assert rt.session.scalar(sa.select(Subscription.quantity)) == 2
    assert demo_gateway.bank.executed_total("EUR") == 5200


def test_the_buttons_around_the_number_count_without_a_script(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    price = price_now(rt, sub)
    more = ada.get(f"{url}?price={price}&quantity=2&quantity-more=1").text
    assert "<td>1</td><td>3</td>" in more
    least = ada.get(f"{url}?price={price}&quantity=1&quantity-less=1").text
    assert "plan-quote" not in least
    assert ada.get(f"{url}?price={price}&quantity=%E0%A5%AB&when=tomorrow").status_code == 200


def test_the_day_of_a_change_can_be_chosen(rt: Runtime, ada: Visitor, sub: Subscription) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    price = price_now(rt, sub)
    later = ada.get(f"{url}?price={price}&quantity=2&when=boundary").text
    assert "Nothing to pay today" in later
    assert "Change on Mon 12 April" in later
    anew = ada.get(f"{url}?price={price}&quantity=2&when=restart").text
    assert "A new period begins today" in anew

    ada.post(url, price=price, quantity="2", when="boundary", quote_hash=hash_of(later))

    assert "€52.00 a month" in ada.get(url).text
    assert rt.session.scalar(sa.select(Subscription.quantity)) == 1


def test_answers_that_cost_nothing_are_saved_as_preferences_instead(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    plan = rt.session.get(Plan, sub.plan_id)
    rt.session.expunge(plan)
    rt.session.rollback()
    factories.make_options(rt, plan)
    price = price_now(rt, sub)
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert "How do you like it?" in ada.get(url).text
    page = ada.get(f"{url}?price={price}&option-taste=strong").text
    assert "Go to preferences" in page
    assert "Change now" not in page

    answer = {"option-taste": "strong"}
    assert ada.post(url, price=price, quote_hash="stale", **answer).status_code == 409
    assert not rt.session.scalar(sa.select(Subscription.options))
    rt.session.rollback()
    ada.post(url.replace("/plan", "/answers"), **answer)

    rt.session.expire_all()
    assert rt.session.scalar(sa.select(Subscription.options)) == {"taste": "strong"}


def test_the_least_number_and_the_end_of_the_new_plan_stand_above_the_button(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    from storefront.models import CycleGroup

    group = rt.session.scalar(sa.select(CycleGroup))
    rt.session.expunge(group)
    rt.session.rollback()
    plan = factories.make_plan(
        rt, group=group, amount_minor=2700, min_boxes=3, max_boxes=6, name="Six pots"
    )
    url = f"/account/subscriptions/{sub.public_id}/plan"

    page = ada.get(f"{url}?price={factories.price_of(rt, plan).public_id}").text

    assert "Least number" in page
    assert "3 boxes, 2 to come" in page
    assert "when you cancel" in page
    assert "after box 6" in page
    assert "I agree to 3 boxes in all. It ends: after box 6." in page


def test_credit_stands_in_the_preview_and_pays(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, demo_gateway
) -> None:
    from storefront.domain.money import Money
    from storefront.services.credit import give_credit
    from tests.support.admin import make_staff

    customer = rt.session.get(Customer, sub.customer_id).public_id
    rt.session.rollback()
    give_credit(rt, make_staff(rt), customer, Money(480, "EUR"), "sorry")
    url = f"/account/subscriptions/{sub.public_id}/plan"

    page = ada.get(f"{url}?price={yearly.public_id}").text
    assert "Your credit" in page
    assert "Change and pay €250.00" in page
    ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))

    assert demo_gateway.bank.executed_total("EUR") == 2600 + 25000


def test_where_a_provider_says_the_tax_the_next_charge_says_so(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    from storefront.domain.tax_treatment import TaxAnswer, TaxQuestion
    from storefront.hooks import hookimpl

    class Silent:
        @hookimpl
        def quote_tax(self, question: TaxQuestion) -> TaxAnswer | None:
            return None

    said = "The tax in it is worked out on the day of the payment."
    pages = ("/account/", f"/account/subscriptions/{sub.public_id}", "/account/payment")
    assert all(said not in ada.get(page).text for page in pages)
    rt.hooks.register(Silent(), name="silent")
    assert all(said in ada.get(page).text for page in pages)


def test_what_a_change_cost_is_said_once_it_is_paid(
    ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}").text
    answer = ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))
    page = ada.get(answer.location).text
    assert "Changed, and €254.80 paid." in page
    assert "Changed to Pot. €254.80 paid." in page
