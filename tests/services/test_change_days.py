"""The day of the next payment that a new period of today names is the day it is taken."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.models import BoxCycle, Invoice
from storefront.services.skips import skip_box
from storefront.testing import factories
from tests.support.changing import fresh, go
from tests.support.days import renew_until

APRIL, MAY = date(2027, 4, 12), date(2027, 5, 12)


def first_payment(rt, clock, after):
    """Let the days pass until there are more than ``after`` invoices."""
    day = rt.today()
    while len(fresh(rt, Invoice)) <= after:
        day += timedelta(days=1)
        assert day < date(2028, 1, 1)
        renew_until(rt, clock, day)
    return day


@pytest.mark.parametrize("waited", [3, 15, 25])
@pytest.mark.parametrize("skipped", [None, APRIL, MAY])
@pytest.mark.parametrize("months", [1, 3])
def test_a_new_period_of_today_names_the_payment_that_comes_with_and_without_skips(
    rt, clock, demo_gateway, skipped, waited, months
):
    group = factories.make_group(rt, cycles=40)
    sub = factories.make_subscription(rt, plan=factories.make_plan(rt, group=group))
    big = factories.make_plan(rt, group=group, amount_minor=4200 * months, count=months)
    clock.advance(days=waited)
    if skipped is not None:
        cycle = sa.select(BoxCycle.public_id).where(BoxCycle.charge_on == skipped)
        ref = rt.session.scalar(cycle)
        rt.session.rollback()
        skip_box(rt, sub.customer_id, sub.public_id, ref)

    quote, done = go(rt, sub, big, when="restart")

    assert (quote.how, done.outcome) == ("restart", "applied")
    assert first_payment(rt, clock, len(fresh(rt, Invoice))) == quote.next_charge_on
