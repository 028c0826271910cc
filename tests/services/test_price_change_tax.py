"""New prices for subscribers where a provider says the tax: told what will be charged."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from storefront.domain.tax_treatment import TaxAnswer, TaxQuestion
from storefront.hooks import hookimpl
from storefront.models import Invoice, OutboxMessage, PriceMigrationItem
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.price_changes import MigrationDraft, draft_migration, dry_run, schedule
from storefront.services.price_notices import tell_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff


class Provider:
    """Says 15 % from May on and 25 % before; never asked while a transaction is open."""

    def __init__(self, rt: Runtime) -> None:
        self.session = rt.session()
        self.asked: list[TaxQuestion] = []
        self.is_silent = False

    @hookimpl
    def quote_tax(self, question: TaxQuestion) -> TaxAnswer | None:
        assert not self.session.in_transaction()
        self.asked.append(question)
        if self.is_silent:
            return None
        rate = "15" if question.on >= date(2027, 5, 1) else "25"
        return TaxAnswer(Decimal(rate), "sample-tax")


@pytest.fixture
def provider(rt: Runtime) -> Provider:
    return Provider(rt)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def ref(rt: Runtime, who: Who, provider: Provider) -> str:
    """A change of 20.00 to 30.00 plus tax, for one subscriber."""
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=2000, tax_inclusive=False)
    make.make_subscription(rt, plan=plan)
    price = make.make_price(rt, plan, amount_minor=3000, tax_inclusive=False)
    draft = MigrationDraft("Spring", price.public_id, rt.today() + timedelta(days=60))
    ref = draft_migration(rt, who, draft)
    rt.hooks.register(provider, name="sample-tax")
    return ref


def test_the_dry_run_asks_the_provider_about_the_day_of_the_first_new_payment(
    rt: Runtime, ref: str, provider: Provider
) -> None:
    (one,) = dry_run(rt, ref)

    assert (one.old.minor, one.new.minor, one.is_fallback) == (2300, 3450, False)
    assert {question.on for question in provider.asked} == {one.applies_on}


def test_who_is_told_an_amount_is_charged_that_amount(
    rt: Runtime, who: Who, ref: str, provider: Provider, clock: FrozenClock
) -> None:
    schedule(rt, who, ref)
    on = None
    for _day in range(90):
        tell_due(rt)
        run_renewals(rt)
        item = rt.session.scalars(sa.select(PriceMigrationItem)).one()
        on = item.applies_on
        rt.session.rollback()
        if rt.today() > on:
            break
        clock.advance(days=1)

    mail = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == "price_change")
    ).one()
    last = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc())).first()
    assert mail.payload["new_minor"] == 3450
    assert last is not None
    assert (last.total_minor, last.tax_point_on) == (3450, on)
    rt.session.rollback()


def test_silence_is_said_and_the_shops_own_rate_is_told(
    rt: Runtime, who: Who, ref: str, provider: Provider, clock: FrozenClock
) -> None:
    provider.is_silent = True

    (one,) = dry_run(rt, ref)

    # The demo shop sends to Germany: 19 %.
    assert (one.new.minor, one.is_fallback) == (3570, True)
    schedule(rt, who, ref)
    for _day in range(75):
        tell_due(rt)
        clock.advance(days=1)
    mail = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == "price_change")
    ).one()
    assert mail.payload["new_minor"] == 3570
    rt.session.rollback()


def test_without_a_provider_nothing_is_a_fallback(rt: Runtime, who: Who) -> None:
    plan = make.make_plan(rt)
    make.make_subscription(rt, plan=plan)
    price = make.make_price(rt, plan, amount_minor=3000)
    draft = MigrationDraft("Spring", price.public_id, rt.today() + timedelta(days=60))

    (one,) = dry_run(rt, draft_migration(rt, who, draft))

    assert (one.new.minor, one.is_fallback) == (3000, False)
