"""Whatever happens in whatever order, the books say what the tables say, every day."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from random import Random

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    Box,
    Customer,
    FulfilmentBatch,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    Plan,
    SubscriptionPeriod,
)
from storefront.operations.credits import credit_invoices
from storefront.operations.customer_credit import grant_credit
from storefront.operations.earning import TO_COME, deferred_of, forfeit_boxes
from storefront.operations.ledger_sums import account_sums
from storefront.queries.invariants import broken
from storefront.queries.ledger import customer_balances
from storefront.runtime import Runtime
from storefront.services.accounting import export_accounting
from storefront.services.fulfilment import ship_batch
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.seals import verify_ledger
from storefront.testing import factories
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.asking import run_all_asked

STEPS = 30


class Shop:
    """Does one random thing after another, through the engine's own services."""

    def __init__(self, rt: Runtime, clock: FrozenClock, seed: int) -> None:
        self.rt, self.clock, self.dice = rt, clock, Random(seed)
        self.happened: set[str] = set()
        self.who = make_staff(rt)
        monthly = factories.make_plan(rt)
        prepaid = factories.make_plan(rt, amount_minor=None)
        factories.make_price(rt, prepaid, amount_minor=7801, count=3)
        member = factories.make_plan(rt, ships=False, amount_minor=4999, count=2)
        self.plans: list[Plan] = [monthly, prepaid, member]
        tea = factories.make_variant(rt, sku="ASSAM")
        for plan in (monthly, prepaid):
            factories.make_recipe(rt, plan, variants=[tea])

    def step(self) -> None:
        """Do something; most often time goes on."""
        acts = (self.subscribe, self.subscribe, self.live, self.live, self.ship, self.give_credit)
        act = self.dice.choice((*acts, self.void, self.drop_box, self.refund, self.refund))
        if act():
            self.happened.add(act.__name__)
        self.rt.session.commit()

    def subscribe(self) -> bool:
        card = self.dice.choice(("4242", "4242", "0341"))
        factories.make_subscription(self.rt, plan=self.dice.choice(self.plans), card=card)
        return True

    def live(self) -> bool:
        for _ in range(3):
            self.clock.advance(days=self.dice.randrange(4, 9))
            assert run_all_asked(self.rt), f"a job failed on {self.rt.today()}"
        return True

    def ship(self) -> bool:
        found = self._one(sa.select(FulfilmentBatch.public_id))
        return bool(found and ship_batch(self.rt, found))

    def give_credit(self) -> bool:
        customer = self._one(sa.select(Customer.id))
        if customer is None:
            return False
        amount = Money(self.dice.randrange(1, 4000), "EUR")
        grant_credit(self.rt.session, customer, amount, "goodwill", "late", self.rt.moment())
        return True

    def void(self) -> bool:
        open_one = self._one(sa.select(Invoice.id).where(Invoice.state == InvoiceState.OPEN))
        if open_one is None:
            return False
        moment = self.rt.moment()
        return bool(credit_invoices(self.rt.session, [open_one], CreditReason.VOID, moment).done)

    def drop_box(self) -> bool:
        """Cancel a box and keep the money."""
        box = self._one(sa.select(Box.id).where(Box.state.in_((BoxState.PLANNED, BoxState.HELD))))
        if box is None:
            return False
        self.rt.session.execute(sa.update(Box).where(Box.id == box).values(state=BoxState.CANCELED))
        forfeit_boxes(self.rt.session, [box], self.rt.moment())
        return True

    def refund(self) -> bool:
        """Give a part or all of a line back, one way or the other; boxes come or end with it."""
        invoice = self._one(sa.select(Invoice.public_id).where(Invoice.state == InvoiceState.PAID))
        lines = offer(self.rt, invoice).lines if invoice else ()
        if not lines or not lines[0].left:
            return False
        amount = self.dice.choice((lines[0].left, self.dice.randrange(1, lines[0].left + 1)))
        way, then = self.dice.choice(list(Way)[:2]), self.dice.choice(list(Afterwards))
        wish = Wish({lines[0].head.id: amount}, way, CreditReason.REFUND, then)
        try:
            seen = quote_refund(self.rt, invoice, wish).quote_hash
            refund(self.rt, self.who, invoice, wish, seen)
        except DomainError:
            self.rt.session.rollback()
            return False
        return True

    def _one(self, statement: sa.Select) -> object:  # type: ignore[type-arg]
        found = self.rt.session.scalars(statement).all()
        self.rt.session.rollback()
        return self.dice.choice(found) if found else None


def check(rt: Runtime) -> None:
    """Compare every account that a table knows too."""
    assert broken(rt.session) == {}
    sums = account_sums(rt.session, *all_time(rt))
    assert sum(one.closing_minor for one in sums) == 0
    closing = {one.account: one.closing_minor for one in sums}
    due = rt.session.scalar(sa.select(sa.func.sum(Invoice.due_minor)).where(Invoice.number > 0))
    assert closing.get("receivable", 0) == (due or 0)
    assert -closing.get("deferred_revenue", 0) == sum(deferred_of(rt.session, periods(rt)).values())
    standing = [each for key in customers(rt) for each in customer_balances(rt.session, key)]
    assert sum(each.owed.minor for each in standing) == closing.get("receivable", 0)
    assert sum(each.credit.minor for each in standing) == -closing.get("customer_credit", 0)
    unearned(rt)
    rt.session.rollback()


def all_time(rt: Runtime) -> tuple[datetime, datetime]:
    return rt.moment().start_of(date(2027, 1, 1)), rt.moment().start_of(date(2035, 1, 1))


def unearned(rt: Runtime) -> None:
    """A paid period holds what its boxes to come were paid with, less what was given back."""
    to_come: dict[int, int] = defaultdict(int)
    for box in rt.session.scalars(sa.select(Box).where(Box.state.in_(TO_COME))):
        to_come[box.period_id] += box.net_minor
    rows = rt.session.scalars(
        sa.select(SubscriptionPeriod.id).where(
            SubscriptionPeriod.box_count > 0, SubscriptionPeriod.state == "paid"
        )
    ).all()
    held = deferred_of(rt.session, list(rows))
    refunded = set(
        rt.session.scalars(sa.select(InvoiceLine.period_id).where(InvoiceLine.credited_minor > 0))
    )
    for period, minor in held.items():
        assert 0 <= minor <= to_come[period]
        assert period in refunded or minor == to_come[period]


def periods(rt: Runtime) -> list[int]:
    return list(rt.session.scalars(sa.select(SubscriptionPeriod.id)))


def customers(rt: Runtime) -> list[int]:
    return list(rt.session.scalars(sa.select(Customer.id)))


@pytest.mark.parametrize("seed", [11, 13])
def test_the_books_say_what_the_tables_say(rt, clock, tmp_path, seed):
    shop = Shop(rt, clock, seed)
    for _ in range(STEPS):
        shop.step()
        check(rt)

    shop.subscribe()
    shop.live()
    shop.live()
    for batch in rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all():
        ship_batch(rt, batch)
    check(rt)

    earned = {one.account: one.credits_minor for one in account_sums(rt.session, *all_time(rt))}
    rt.session.rollback()
    assert earned["revenue"] > 0
    assert shop.happened >= {"subscribe", "live", "give_credit", "refund"}
    assert verify_ledger(rt).is_whole
    done = export_accounting(rt, date(2027, 3, 1), rt.today(), tmp_path / "books")
    assert done.transfers == rt.session.scalar(sa.select(sa.func.count(LedgerTransfer.id)))
