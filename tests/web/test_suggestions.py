"""What the first page of the account suggests, and how it is put away for good."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.database import reading
from storefront.domain.suggestions import SuggestionKind
from storefront.models import BoxCycle, Customer, Plan, Subscription, SuggestionDismissal
from storefront.operations.catalogue import raise_version
from storefront.operations.suggestions import forget_put_away, move_put_away
from storefront.queries import account_home
from storefront.queries.own_data import everything_of
from storefront.queries.suggestions import read_assortment, suggestion
from storefront.runtime import Runtime
from storefront.services import suggestions
from storefront.services.cancellations import cancel
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from tests.support.statements import counting
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
AWAY = "/account/suggestions/put-away"
SAVES = "Save €31.20"
LESS = "You left out two boxes in a row. Cup is €16.00 a month, where you pay €26.00 a month."
MORE = "There is more that can come along with Pot, from €9.00."


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    key = customer_with_password(rt, ADA)
    found = rt.session.get(Customer, key)
    assert found is not None
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, group=make.make_group(rt, cycles=12))


@pytest.fixture
def sub(rt: Runtime, ada: Customer, pot: Plan) -> Subscription:
    return make.make_subscription(rt, plan=pot, customer=ada)


@pytest.fixture
def browser(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def leave_out(rt: Runtime, sub: Subscription, *months: str) -> None:
    for month in months:
        chosen = sa.select(BoxCycle.public_id).join(Plan, Plan.cycle_group_id == BoxCycle.group_id)
        ref = rt.session.scalars(chosen.where(BoxCycle.key == month, Plan.id == sub.plan_id)).one()
        rt.session.rollback()
        skip_box(rt, sub.customer_id or 0, sub.public_id, ref)


def test_a_yearly_price_is_suggested_with_what_it_saves_and_leads_to_both_sides(
    rt: Runtime, pot: Plan, sub: Subscription, browser: Visitor
) -> None:
    assert 'id="suggestion"' not in browser.get("/account/").text
    year = make.make_price(rt, pot, amount_minor=28080, unit="year")
    raise_version(rt.session)
    rt.session.commit()
    page = browser.get("/account/").text
    assert SAVES in page
    assert (
        "Pot for €280.80 a year instead of €26.00 a month: over that time you pay €31.20 less."
    ) in page
    # Below everything else.
    assert page.index("See the subscription") < page.index(SAVES)
    to = f"/account/subscriptions/{sub.public_id}/plan?price={year.public_id}"
    assert f'href="{to}"' in page
    assert "What changes" in browser.get(to).text


def test_two_boxes_left_out_in_a_row_bring_up_the_plan_next_below_and_no_year(
    rt: Runtime, pot: Plan, sub: Subscription, browser: Visitor
) -> None:
    make.make_plan(rt, name="Cup", amount_minor=1600)
    make.make_price(rt, pot, amount_minor=28080, unit="year")
    leave_out(rt, sub, "2027-04", "2027-06")
    page = browser.get("/account/").text
    assert LESS not in page
    assert SAVES in page
    leave_out(rt, sub, "2027-05")
    page = browser.get("/account/").text
    assert LESS in page
    assert SAVES not in page


def test_things_that_can_come_along_are_suggested_to_who_has_none(
    rt: Runtime, sub: Subscription, browser: Visitor
) -> None:
    make.make_addon(rt, 1200)
    make.make_addon(rt, 900, name="Cup")
    page = browser.get("/account/").text
    assert MORE in page
    to = f"/account/subscriptions/{sub.public_id}/box"
    assert f'href="{to}"' in page
    assert "Cup" in browser.get(to).text


def test_what_is_put_away_does_not_come_back_and_the_next_one_shows(
    rt: Runtime, ada: Customer, pot: Plan, browser: Visitor
) -> None:
    make.make_price(rt, pot, amount_minor=28080, unit="year")
    make.make_addon(rt)
    assert SAVES in browser.get("/account/").text
    for _ in range(2):
        answer = browser.post(AWAY, kind="longer")
        assert (answer.status_code, answer.location) == (303, "/account/")
    page = browser.get("/account/").text
    assert SAVES not in page
    assert MORE in page
    away = rt.session.execute(sa.select(SuggestionDismissal.customer_id)).scalars().all()
    assert away == [ada.id]
    told = everything_of(rt.session, ada.id)["suggestions_put_away"]
    assert [one["kind"] for one in told] == ["longer"]
    rt.session.rollback()


def test_the_script_takes_it_off_the_page_and_says_so(
    rt: Runtime, pot: Plan, browser: Visitor
) -> None:
    make.make_price(rt, pot, amount_minor=28080, unit="year")
    browser.get("/account/")
    answer = browser.post(AWAY, htmx=True, kind="longer")
    assert answer.status_code == 200
    assert "Put away. We will not suggest that again." in answer.text
    assert SAVES not in answer.text
    assert '<div id="suggestion" hidden></div>' in answer.text


def test_a_kind_that_is_none_is_not_found(browser: Visitor) -> None:
    browser.get("/account/")
    assert browser.post(AWAY, kind="everything").status_code == 404


def test_nothing_is_suggested_where_somebody_leaves_or_a_code_lowers_the_price(
    rt: Runtime, ada: Customer, pot: Plan, sub: Subscription, browser: Visitor
) -> None:
    make.make_price(rt, pot, amount_minor=28080, unit="year")
    assert SAVES in browser.get("/account/").text
    page = browser.get(f"/account/subscriptions/{sub.public_id}/cancel").text
    assert "31.20" not in page
    cancel(rt, ada.id, sub.public_id)
    assert 'id="suggestion"' not in browser.get("/account/").text
    make.make_code(rt, "SPRING", percent=50, duration="cycles", cycles=3)
    make.make_subscription(rt, plan=pot, customer=ada, code="SPRING")
    assert 'id="suggestion"' not in browser.get("/account/").text


def test_of_several_subscriptions_the_one_it_fits_is_named(
    rt: Runtime, ada: Customer, pot: Plan, sub: Subscription, browser: Visitor
) -> None:
    # The soonest has nothing that saves; the one after it has.
    sooner = make.make_group(rt, ship_days=4)
    cup = make.make_plan(rt, name="Cup", amount_minor=1600, group=sooner)
    other = make.make_subscription(rt, plan=cup, customer=ada)
    year = make.make_price(rt, pot, amount_minor=28080, unit="year")
    page = browser.get("/account/").text
    assert page.index(other.public_id) < page.index(sub.public_id)
    assert SAVES in page
    assert "About Pot, to Lindenweg 4, Jena" in page
    to = f"/account/subscriptions/{sub.public_id}/plan?price={year.public_id}"
    assert f'href="{to}"' in page


def test_who_has_one_subscription_is_not_told_which(
    rt: Runtime, pot: Plan, browser: Visitor
) -> None:
    make.make_price(rt, pot, amount_minor=28080, unit="year")
    page = browser.get("/account/").text
    assert SAVES in page
    assert "About Pot" not in page


def test_a_plan_that_is_not_listed_is_suggested_to_nobody_for_another_subscription(
    rt: Runtime, ada: Customer, sub: Subscription, browser: Visitor
) -> None:
    hidden = make.make_plan(rt, name="Cup", amount_minor=1600, is_public=False)
    make.make_subscription(rt, plan=hidden, customer=ada)
    leave_out(rt, sub, "2027-04", "2027-05")
    assert LESS not in browser.get("/account/").text


@pytest.mark.parametrize("many", [1, 3])
def test_it_reads_with_one_statement_where_something_can_come_along_for_any_number(
    rt: Runtime, ada: Customer, pot: Plan, many: int
) -> None:
    make.make_plan(rt, name="Cup", amount_minor=1600)
    make.make_addon(rt)
    for _ in range(many):
        make.make_subscription(rt, plan=pot, customer=ada)
    with reading():
        found = account_home.home(rt.session, ada.id, rt.moment(), rt.shop.taxes)
        on_sale = read_assortment(rt.session)
        with counting() as seen:
            said = suggestion(
                rt.session, found.subscriptions, found.matters.away, rt.today(), on_sale
            )
        rt.session.rollback()
    assert said is not None
    assert said.beside_from is not None
    asked = [one for one in seen if one.lstrip().upper().startswith("SELECT")]
    assert len(asked) == 1


def test_what_was_put_away_moves_with_a_merge_and_goes_with_an_erasure(
    rt: Runtime, ada: Customer
) -> None:
    other = make.make_customer(rt)
    for key, kind in (
        (ada.id, SuggestionKind.LONGER),
        (other.id, SuggestionKind.LONGER),
        (other.id, SuggestionKind.BESIDE),
    ):
        suggestions.put_away(rt, key, kind)
    move_put_away(rt.session, ada.id, other.id)
    rt.session.commit()
    table = SuggestionDismissal
    kept = rt.session.execute(sa.select(table.customer_id, table.kind).order_by(table.kind)).all()
    assert [tuple(one) for one in kept] == [(ada.id, "beside"), (ada.id, "longer")]
    forget_put_away(rt.session, [ada.id])
    rt.session.commit()
    assert rt.session.scalar(sa.select(sa.func.count(table.id))) == 0
    rt.session.rollback()
