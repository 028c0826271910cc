"""A plan whose last day of sale has come is neither offered nor taken, wherever one is chosen."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.changes import NotChangeable
from storefront.models import Plan, Price
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.queries.again import again
from storefront.queries.change import targets
from storefront.services.baskets import BoxChoice, Changed, add_box
from storefront.services.cancellations import cancel
from storefront.services.changes import change, quote_change
from storefront.services.checkout import Step
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from tests.support.baskets import version
from tests.support.changing import AGREED, wish_of
from tests.support.orders import begin, order, quote_hash


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def other(rt, group):
    """A plan that somebody could change to; the last day of its sale is 3 March."""
    return factories.make_plan(
        rt, group=group, code="table", name="Table", amount_minor=4200, ends_on=date(2027, 3, 4)
    )


@pytest.fixture
def sub(rt, group):
    return factories.make_subscription(rt, plan=factories.make_plan(rt, group=group))


def archive(rt, plan):
    rt.session.execute(sa.update(Plan).where(Plan.id == plan.id).values(archived_at=rt.now()))
    rt.session.commit()


def ended(rt, clock, plan):
    clock.advance(days=2)
    assert rt.today() == date(2027, 3, 4)


def names(rt, sub):
    found = targets(rt.session, sub.customer_id, sub.public_id, rt.today())
    rt.session.rollback()
    return [one.plan for one in found]


def problem(rt, key):
    row = find_checkout(rt.session, key)
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment()).problem
    rt.session.rollback()
    return found


@pytest.mark.parametrize("gone", ["ended", "archived"])
def test_no_change_leads_to_a_plan_that_is_sold_no_more(rt, sub, other, clock, gone):
    wish = wish_of(rt, sub, other)
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    assert names(rt, sub) == ["Pot", "Table"]

    ended(rt, clock, other) if gone == "ended" else archive(rt, other)

    assert names(rt, sub) == ["Pot"]
    with pytest.raises(LookupError):
        quote_change(rt, sub.customer_id, sub.public_id, wish)
    with pytest.raises(LookupError):
        change(rt, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)


def test_who_has_an_ended_plan_can_still_change_the_quantity_of_it(rt, sub, clock):
    rt.session.execute(sa.update(Plan).values(ends_on=date(2027, 3, 4)))
    rt.session.commit()
    clock.advance(days=2)

    quote = quote_change(rt, sub.customer_id, sub.public_id, wish_of(rt, sub, quantity=2))

    assert quote.quantity == 2


def test_a_change_that_waits_does_not_wait_for_a_plan_that_is_over_by_then(rt, sub, other):
    wish = wish_of(rt, sub, other, when="boundary")
    with pytest.raises(NotChangeable) as refused:
        quote_change(rt, sub.customer_id, sub.public_id, wish)
    assert refused.value.params["reason"] == "over"


@pytest.mark.parametrize("gone", ["ended", "archived"])
def test_coming_back_leads_to_a_plan_that_is_still_sold(rt, other, group, clock, gone):
    sub = factories.make_subscription(rt, plan=other)
    factories.make_plan(rt, group=group, code="cup", name="Cup")
    cancel(rt, sub.customer_id, sub.public_id)
    clock.advance(days=45)
    run_renewals(rt)
    if gone == "archived":
        rt.session.execute(sa.update(Plan).values(ends_on=None))
        archive(rt, other)

    found = again(rt.session, sub.customer_id, sub.public_id, rt.today())

    assert (found.plan, found.instead_of) == ("Cup", "Table")


@pytest.mark.parametrize("gone", ["ended", "archived"])
def test_an_order_begun_before_is_not_paid_after(rt, other, clock, gone):
    key = begin(rt, other)
    shown = quote_hash(rt, key)
    assert shown
    if gone == "archived":
        archive(rt, other)
    else:
        clock.advance(minutes=60 * 24)
        assert rt.today() == date(2027, 3, 3)
        rt.session.execute(sa.update(Plan).values(ends_on=date(2027, 3, 3)))
        rt.session.commit()

    assert problem(rt, key) == "gone"
    assert order(rt, key, shown).step is not Step.PAY


def test_an_ended_plan_is_not_added_to_an_order(rt, sub, other, clock):
    pot = rt.session.get(Plan, sub.plan_id)
    rt.session.expunge(pot)
    rt.session.rollback()
    key = begin(rt, pot, email="bea@example.org")
    clock.advance(minutes=1)
    rt.session.execute(sa.update(Plan).where(Plan.id == other.id).values(ends_on=date(2027, 3, 2)))
    rt.session.commit()
    choice = BoxChoice(other.id, factories.price_of(rt, other).id)
    assert add_box(rt, key, choice, version(rt, key)) is Changed.GONE
    assert problem(rt, key) == ""


def test_only_the_price_of_ones_own_country_can_be_changed_to(rt, sub, group):
    dear = factories.make_plan(rt, group=group, code="dear", name="Dear", amount_minor=3000)
    own = factories.make_price(rt, dear, amount_minor=3500, country="DE")
    abroad = factories.make_price(rt, dear, amount_minor=100, country="FR")
    everywhere = rt.session.scalars(
        sa.select(Price).where(Price.plan_id == dear.id, Price.country == "")
    ).one()
    refs = {"own": own.public_id, "abroad": abroad.public_id, "all": everywhere.public_id}
    rt.session.rollback()
    found = targets(rt.session, sub.customer_id, sub.public_id, rt.today())
    rt.session.rollback()

    assert [(one.plan, one.amount.minor) for one in found] == [("Pot", 2600), ("Dear", 3500)]
    base = wish_of(rt, sub)
    for name, taken in (("own", True), ("abroad", False), ("all", False)):
        wish = type(base)(refs[name])
        if taken:
            assert quote_change(rt, sub.customer_id, sub.public_id, wish).amount.minor == 3500
        else:
            with pytest.raises(LookupError):
                quote_change(rt, sub.customer_id, sub.public_id, wish)
