"""K-15: a receipt after every charge says what is needed to know it again, and how to stop."""

from datetime import date
from functools import partial

import sqlalchemy as sa

from storefront.mails import compose
from storefront.models import NumberSeries
from storefront.runtime import Runtime
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


def mails(rt: Runtime) -> list[str]:
    deliver_due(rt, partial(compose, rt))
    bodies = [mail.get_body(("plain",)) for mail in rt.mailer.read()]
    return [body.get_content() for body in bodies if body]


def test_a_receipt_says_amount_date_what_for_number_statement_and_how_to_cancel(
    rt: Runtime, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt)
    rt.session.execute(sa.update(NumberSeries).values(prefix="NK-"))
    rt.session.commit()
    populate(rt, plan, make.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)

    [text] = mails(rt)

    assert "Paid. €26.00 for Pot." in text
    assert "Date: Fri 12 March" in text
    assert "Invoice: NK-1" in text
    assert "On your statement: Nine Kettles" in text
    assert "Skip or cancel online at any time: http" in text


def test_the_first_charge_after_a_trial_is_named_as_its_statement_does(
    rt: Runtime, clock: FrozenClock
) -> None:
    make.make_subscription(rt, plan=make.make_plan(rt, trial_days=14))
    for _ in range(80):
        clock.advance(days=1)
        run_renewals(rt)
        mails(rt)
    receipts = [text for text in mails(rt) if "See invoice" in text]
    named = sorted(text.partition("On your statement: ")[2].splitlines()[0] for text in receipts)
    assert named == ["Nine Kettles", "Nine TRIAL OVER"]


def test_what_was_charged_with_an_order_is_named_too(rt: Runtime) -> None:
    make.make_subscription(rt)
    assert "On your statement: Nine Kettles" in " ".join(mails(rt))
