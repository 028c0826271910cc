"""The shop window: prices that are charged as shown, quickly, and without a cookie needed."""

from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.domain.boxes import CycleState
from storefront.extensions import db
from storefront.models import BoxCycle, BoxWeight
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.delivery import make_zone


@pytest.fixture
def statements(app: Flask):
    """The SQL that is run, without the beginning and ending of transactions."""
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def test_an_empty_shop_says_so(client: FlaskClient):
    page = client.get("/")
    assert page.status_code == 200
    assert "packing something new" in page.text


def test_plans_show_what_a_box_costs(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt, code="pot", name="Pot", is_recommended=True)
    make.make_price(rt, plan, amount_minor=7410, count=3)
    make.make_price(rt, plan, amount_minor=28080, unit="year")

    monthly = client.get("/").text
    assert "€26.00" in monthly
    assert "Recommended" in monthly
    assert "Thu 18 March" in monthly
    assert "Thu 11 March" in monthly
    assert "Mon 12 April" in monthly

    quarterly = client.get("/?interval=3m").text
    assert "€24.70" in quarterly
    assert "€74.10 every 3 months" in quarterly
    assert "you save 5%" in quarterly
    yearly = client.get("/?interval=1y").text
    assert "€23.40" in yearly
    assert "you save 10%" in yearly


def test_a_saving_is_rounded_down_and_a_box_up(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt, amount_minor=1000)
    make.make_price(rt, plan, amount_minor=2801, count=3)

    page = client.get("/?interval=3m").text

    assert "€9.34" in page
    assert "you save 6%" in page


def test_the_newest_version_of_a_price_is_shown(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt)
    make.make_price(rt, plan, amount_minor=2750)

    page = client.get("/").text

    assert "€27.50" in page
    assert "€26.00" not in page


def test_hidden_and_archived_plans_are_not_listed(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, name="Secret", is_public=False)
    make.make_plan(rt, name="Gone", archived_at=rt.now())
    make.make_plan(rt, name="Unpriced", amount_minor=None)

    page = client.get("/").text

    assert "Secret" not in page
    assert "Gone" not in page
    assert "Unpriced" not in page


def test_a_plan_without_a_coming_box_is_sold_out(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="pot", group=make.make_group(rt, cycles=0))

    assert "Sold out" in client.get("/").text
    assert "Sold out" in client.get("/plans/pot").text


def test_the_dates_are_those_of_the_next_cycle(
    rt: Runtime, client: FlaskClient, clock: FrozenClock
):
    make.make_plan(rt)
    clock.advance(days=10)

    page = client.get("/").text

    assert "Sun 11 April" in page
    assert "Mon 19 April" in page  # 18 April is a Sunday


def test_three_statements_cold_and_one_warm(
    rt: Runtime, client: FlaskClient, statements: list[str]
):
    plan = make.make_plan(rt, is_recommended=True)
    make.make_price(rt, plan, amount_minor=7410, count=3)
    make.make_plan(rt, name="Cup", amount_minor=1600)
    # What delivery costs is read once for each version of the catalogue.
    client.get("/?interval=3m")
    statements.clear()

    client.get("/")
    # Settings with the shop's own tax rates, plans, cycles.
    assert len(statements) == 3, statements
    statements.clear()
    client.get("/")
    assert len(statements) == 1, statements


def test_a_change_of_the_catalogue_drops_the_page(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt)
    etag = client.get("/").headers["ETag"]
    make.make_price(rt, plan, amount_minor=2750)
    make.make_shop(rt, catalogue_version=2)

    again = client.get("/", headers={"If-None-Match": etag})

    assert again.status_code == 200
    assert "€27.50" in again.text


def test_language_and_day_have_pages_of_their_own(
    rt: Runtime, client: FlaskClient, clock: FrozenClock
):
    make.make_plan(rt)
    assert '<html lang="en"' in client.get("/").text
    assert '<html lang="de"' in client.get("/", headers={"Accept-Language": "de"}).text
    first = client.get("/").headers["ETag"]
    clock.advance(days=10)
    assert client.get("/", headers={"If-None-Match": first}).status_code == 200


def test_past_boxes_show_what_was_in_them(rt: Runtime, client: FlaskClient, clock: FrozenClock):
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, name="Pot")
    cycle = make.make_cycles(rt, make.make_group(rt, cycles=0), 1)[0]
    variants = [make.make_variant(rt, name="Kukicha"), make.make_variant(rt, name="Assam")]
    rt.session.execute(
        sa.update(BoxCycle)
        .where(BoxCycle.id == cycle.id)
        .values(
            group_id=group.id,
            key="2027-01",
            ship_from=date(2027, 2, 18),
            ship_to=date(2027, 2, 20),
            charge_on=date(2027, 2, 12),
            cutoff_on=date(2027, 2, 11),
            lock_on=date(2027, 2, 15),
            state=CycleState.SHIPPED,
        )
    )
    rt.session.commit()
    make.make_recipe(rt, plan, cycle=cycle, variants=variants)

    page = client.get("/").text

    assert "Past boxes" in page
    assert "Box of February: Kukicha and Assam" in page


def test_where_a_shopper_comes_from_goes_along(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="pot")

    page = client.get("/?utm_source=letter&utm_campaign=spring").text
    assert (
        "/checkout?plan=pot&amp;interval=1m&amp;utm_source=letter&amp;utm_campaign=spring" in page
    )
    linked = client.get("/", headers={"Referer": "https://tea.example/best"}).text
    assert "ref=tea.example" in linked


def test_one_plan_in_detail(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt, code="pot", name="Pot", benefits=["Four teas"])
    make.make_options(rt, plan, choices=[("mild", "Mild", 0), ("rare", "Rare", 300)])

    page = client.get("/plans/pot").text

    assert "Four teas" in page
    assert "Rare (+€3.00" in page
    assert "Order after Thu 11 March, 23:59" in page
    assert "18–20 March" in page


def test_an_unknown_plan_is_not_found(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="pot")
    for code in ("nothing", "..%2f", "POT", "a" * 500, "ü"):
        assert client.get(f"/plans/{code}").status_code == 404, code


def test_an_odd_interval_shows_the_shortest(rt: Runtime, client: FlaskClient):
    make.make_plan(rt)
    for value in ("", "3", "0m", "9y", "1e309", "'--", "m" * 5000, "１m"):
        page = client.get(f"/?interval={value}")
        assert page.status_code == 200, value
        assert "€26.00" in page.text, value


def test_the_page_works_with_its_query_whatever_it_is(rt: Runtime, client: FlaskClient):
    make.make_plan(rt)
    page = client.get("/?utm_source=%3Cscript%3Ealert(1)%3C/script%3E&ref=%E2%80%AEx")
    assert page.status_code == 200
    assert "<script>alert" not in page.text


def test_a_zero_byte_is_refused_politely(rt: Runtime, client: FlaskClient):
    make.make_plan(rt)
    for path in ("/?interval=%00", "/plans/%00", "/checkout?plan=%00", "/checkout/%00/pay"):
        assert client.get(path).status_code in (400, 404), path


def test_the_answers_promise_no_days_that_do_not_hold(rt: Runtime, client: FlaskClient):
    make.make_price(rt, make.make_plan(rt, code="pot"))
    shown = client.get("/").text
    assert "never charge on any other day" not in shown
    assert "or when your free trial ends" in shown
    assert "what you choose yourself, like a larger plan or a box sent early" in shown
    assert "declines a payment, we try it again" in shown


@pytest.mark.parametrize("page", ["/", "/plans/pot"])
def test_a_plan_that_binds_says_so_beside_its_price(rt: Runtime, client: FlaskClient, page: str):
    make.make_price(rt, make.make_plan(rt, code="cup"))
    plan = make.make_plan(rt, code="pot", min_boxes=3)
    make.make_price(rt, plan)
    shown = client.get(page).text
    assert "At least 3 boxes." in shown
    assert "o minimum term" not in shown


def test_a_plan_that_binds_to_nothing_says_that_too(rt: Runtime, client: FlaskClient):
    make.make_price(rt, make.make_plan(rt, code="pot"))
    assert "No minimum term" in client.get("/").text
    assert "No minimum term" in client.get("/plans/pot").text


def test_a_plan_page_says_where_fewer_boxes_bind(rt: Runtime, client: FlaskClient):
    make.make_price(rt, make.make_plan(rt, code="pot", min_boxes=14))
    make.make_price(rt, make.make_plan(rt, code="cup", min_boxes=12))

    shown = client.get("/plans/pot").get_data(as_text=True)

    assert "At least 14 boxes." in shown
    assert "In Austria you agree to 12 boxes at most." in shown
    assert "California" not in shown, "nothing is sent there"
    assert "you agree to" not in client.get("/plans/cup").get_data(as_text=True)


def test_what_is_charged_today_and_next_is_what_an_order_of_today_charges(
    rt: Runtime, client: FlaskClient
) -> None:
    make.make_plan(rt, code="pot", name="Pot", first_period="free")
    dates = dates_of(client)
    assert "nothing" in dates
    assert "€0.00" not in dates
    assert dates.index("First payment") < dates.index("12 March") < dates.index("Ships")
    assert "€26.00, unless you cancel before" in dates


def dates_of(client: FlaskClient) -> str:
    """Return the section of the plan's page about its days."""
    shown = client.get("/plans/pot").text
    shown = shown[shown.index('id="dates-title"') :]
    return shown[: shown.index("</section>")]


def test_the_days_of_a_plan_with_a_trial_are_those_of_an_order_with_it(
    rt: Runtime, client: FlaskClient
) -> None:
    make.make_plan(rt, code="pot", name="Pot", trial_days=14)
    dates = dates_of(client)
    assert "nothing" in dates
    # The trial ends on 15 March, behind the charge day of that month.
    assert "Mon 12 April" in dates
    assert "18–20 March" not in dates
    assert "12 March" not in dates
    assert "These are the days of a new subscriber." in dates
    first = client.get("/").text
    assert "18 March" not in first[first.index('id="when-title"') :]
    assert "Mon 12 April" in first


#: Seller, whether the tax is in the price, and what stands beside it.
TAX_WORDS = [
    ("DE", True, "incl. VAT and delivery"),
    ("US", True, "incl. tax and delivery"),
    ("US", False, "plus tax, delivery included"),
]


@pytest.mark.parametrize(("seller", "inclusive", "words"), TAX_WORDS)
@pytest.mark.parametrize("page", ["/", "/plans/pot"])
def test_the_tax_beside_a_price_is_called_what_the_country_calls_it(
    rt: Runtime, client: FlaskClient, *, page: str, seller: str, inclusive: bool, words: str
):
    make.make_shop(rt, seller_country=seller, countries=[seller])
    plan = make.make_plan(rt, code="pot", amount_minor=None)
    make.make_price(rt, plan, tax_inclusive=inclusive)
    rt.forget_shop()

    shown = client.get(page).text

    assert words in shown
    assert ("VAT" in shown) is (seller == "DE")


def test_where_delivery_is_paid_apart_no_page_says_that_it_is_in_the_price(
    rt: Runtime, client: FlaskClient
):
    make.make_plan(rt, code="pot", name="Pot")
    make_zone(rt, "DE", prices={0: 0})
    make_zone(rt, "*", prices=190)
    assert "Delivery is in the price." in client.get("/").text

    client.post("/country", data={"country": "FR"})

    page = client.get("/").text
    assert "Delivery is in the price." not in page
    assert "Delivery €1.90 for each box." in page
    assert "€27.90 with delivery" in page
    assert "€27.90 with delivery" in client.get("/plans/pot").text


def test_a_plan_says_what_its_own_box_costs_to_send(rt: Runtime, client: FlaskClient):
    light = make.make_plan(rt, code="pot", name="Pot")
    heavy = make.make_plan(rt, code="crate", name="Crate")
    rt.session.add_all(
        [
            BoxWeight(plan_id=light.id, grams=900, option_key=""),
            BoxWeight(plan_id=heavy.id, grams=2500, option_key=""),
        ]
    )
    rt.session.commit()
    make_zone(rt, "*", prices={0: 190, 1000: 490})

    page = client.get("/").text

    assert "Delivery €1.90 for each box." in page
    assert "Delivery €4.90 for each box." in page
    assert "€30.90 with delivery" in client.get("/plans/crate").text
