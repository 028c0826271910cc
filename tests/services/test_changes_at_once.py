"""Changes of one subscription sent at the same moment: one wins, the others see what it did."""

import pytest

from storefront.domain.changes import NotChangeable, QuoteChanged
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, Invoice, ScheduledChange, Subscription
from storefront.queries.invariants import broken
from storefront.services.cancellations import NotStarted, cancel
from storefront.services.changes import change, quote_change
from storefront.testing import factories
from tests.support.changing import AGREED, fresh, one, wish_of
from tests.support.orders import in_parallel


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=30)


@pytest.fixture
def plans(rt, group):
    """Four plans dearer than the one that is left, each at another price."""
    return [
        factories.make_plan(rt, group=group, code=f"up{n}", amount_minor=3000 + 500 * n)
        for n in range(4)
    ]


@pytest.fixture
def sub(rt, group):
    return factories.make_subscription(rt, plan=factories.make_plan(rt, group=group))


def tried(work):
    try:
        return work().outcome
    except (QuoteChanged, NotChangeable) as error:
        return error.code


def test_of_four_upgrades_at_once_one_is_paid_and_the_others_are_shown_again(
    app, rt, sub, plans, demo_gateway
):
    wishes = [wish_of(rt, sub, plan) for plan in plans]
    shown = [quote_change(rt, sub.customer_id, sub.public_id, wish) for wish in wishes]
    rt.session.rollback()

    said = in_parallel(
        app,
        4,
        lambda own, n: tried(
            lambda: change(
                own, sub.customer_id, sub.public_id, wishes[n], shown[n].quote_hash, AGREED
            )
        ),
    )

    assert said.count("applied") == 1, said
    assert set(said) <= {"applied", "quote_changed", "not_changeable"}
    won = said.index("applied")
    assert one(rt, Subscription, sub.id).plan_id == plans[won].id
    charged = 2600 + shown[won].due_today.minor
    assert demo_gateway.bank.executed_total("EUR") == charged
    assert len(fresh(rt, ChargeAttempt)) == 2
    paid = fresh(rt, Invoice, Invoice.state == InvoiceState.PAID)
    assert sum(invoice.total_minor for invoice in paid) == charged
    assert broken(rt.session) == {}


def test_of_eight_clicks_on_a_change_that_waits_one_is_kept_and_the_others_are_shown_again(
    app, rt, sub, plans
):
    wish = wish_of(rt, sub, plans[0], when="boundary")
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    rt.session.rollback()

    def click(own, _number):
        return tried(
            lambda: change(own, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)
        )

    said = in_parallel(app, 8, click)

    assert said.count("scheduled") == 1, said
    assert set(said) <= {"scheduled", "quote_changed", "not_changeable"}
    assert len(fresh(rt, ScheduledChange)) == 1


def test_an_upgrade_and_leaving_at_once_leave_one_whole_state(app, rt, sub, plans):
    wish = wish_of(rt, sub, plans[0])
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    rt.session.rollback()

    def upgrade(own):
        return tried(
            lambda: change(own, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)
        )

    def leave(own):
        try:
            cancel(own, sub.customer_id, sub.public_id)
        except NotStarted as error:
            return error.code
        return "left"

    upgraded, left = in_parallel(app, 2, lambda own, n: (upgrade, leave)[n](own))

    row = one(rt, Subscription, sub.id)
    assert (row.cancel_on is not None) == (left == "left")
    assert (row.plan_id == plans[0].id) == (upgraded == "applied")
    assert upgraded in {"applied", "surplus", "quote_changed", "not_changeable"}
    # What came for a change that was too late is surplus, which goes back with the outbox.
    charged = shown.due_today.minor if upgraded == "applied" else 0
    paid = fresh(rt, Invoice, Invoice.state == InvoiceState.PAID)
    assert sum(invoice.total_minor for invoice in paid) == 2600 + charged
    assert broken(rt.session) == {}
