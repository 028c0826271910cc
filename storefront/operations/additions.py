"""Put something into boxes that are paid for already: what is needed to say what it costs.

Source: docs/decisions/0208-add-ons-for-paid-boxes.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.addons import MOST, Cadence, Reach
from storefront.domain.credit import is_too_small
from storefront.domain.errors import DomainError
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import ENDED, PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import PricedItem, Quote, quote
from storefront.domain.rates import TaxClass
from storefront.domain.recurring import PeriodTerms, SoldBeside, priced_beside, without_tax
from storefront.domain.tax_treatment import Taxed, TaxRules, Treatment
from storefront.models import (
    Addon,
    Address,
    Box,
    BoxAddition,
    BoxCycle,
    Customer,
    PaymentMethod,
    Plan,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.added_delivery import more_delivery
from storefront.operations.added_stock import has_pieces, is_open
from storefront.operations.addon_changes import (
    AddonFacts,
    AddonQuote,
    AddonWish,
    quote_wish,
    read_addons,
)
from storefront.operations.addons import OfferedAddon
from storefront.operations.carrying import Minimums
from storefront.operations.customer_credit import balance_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.taxes import buyer_columns, sale_to

#: Kinds of methods that are debited later than they are asked.
_DEBITS = ("bank", "upi")


class NothingToAddTo(DomainError):
    """``reason``: ends, held, unpaid, paying, no_box, no_card, gone, stock, quantity or small.

    ``on_hold`` is the subscription, ``held`` the shop's charging.
    """

    code = "nothing_to_add_to"


@dataclass(frozen=True, slots=True)
class AdditionWish:
    """``quantity`` pieces of an add-on in each box that ``reach`` names."""

    addon: str
    quantity: int
    reach: Reach


@dataclass(frozen=True, slots=True)
class AdditionFacts:
    """A subscription, its paid boxes that are still open, and who pays for what is put in."""

    own: AddonFacts
    #: With plan, name, e-mail, address, tax number and usable method of the customer.
    payer: AnyRow
    #: The first to leave first; ``ship_from`` is None while its cycle is not there yet.
    boxes: tuple[AnyRow, ...]
    balance: Money
    #: Why nothing can be added now; empty: it can.
    refused: str

    def boxes_for(self, reach: Reach) -> tuple[AnyRow, ...]:
        """Return the boxes something would be put into."""
        return self.boxes[:1] if reach is Reach.NEXT else self.boxes

    def goes_on(self, wish: AdditionWish) -> bool:
        """Return whether later payments bring it as well."""
        has = any(one.addon_ref == wish.addon for one in self.own.running)
        ends = self.own.refused or self.own.coming.row.is_gift
        return wish.reach is Reach.REST and not ends and not has


@dataclass(frozen=True, slots=True)
class AdditionQuote:
    """What it costs now, and where it goes on what later payments are.

    ``delivery`` is part of ``total``; ``from_credit`` of it is paid by credit.
    """

    wish: AdditionWish
    name: str
    unit: Money
    #: Ship days, None for one that is not known yet.
    ships_on: tuple[date | None, ...]
    total: Money
    tax: Money
    delivery: Money
    from_credit: Money
    brand: str
    last4: str
    #: The bank may say only after days whether it pays.
    takes_days: bool
    later: AddonQuote | None
    asks_consent: bool
    quote_hash: str

    @property
    def due(self) -> Money:
        """What is asked of the card."""
        return self.total - self.from_credit


@dataclass(frozen=True, slots=True)
class PricedAddition:
    """A quote with the document it stands for."""

    shown: AdditionQuote
    document: Quote
    taxed: Taxed
    addon: OfferedAddon
    variant_id: int | None
    boxes: tuple[AnyRow, ...]


def read_additions(
    session: AnySession,
    customer_id: int,
    subscription: str,
    moment: Moment,
    taxes: TaxRules,
    *,
    for_update: bool = False,
) -> AdditionFacts:
    """Return what decides about putting something into paid boxes. Raises ``LookupError``."""
    own = read_addons(session, customer_id, subscription, moment, taxes, for_update=for_update)
    row = own.coming.row
    payer = session.execute(_payer(row.id, customer_id)).one()
    boxes = tuple(session.execute(open_boxes(row.id, moment.today)))
    balance = balance_of(session, customer_id, row.currency)
    refused = _refused(session, row, boxes)
    return AdditionFacts(own, payer, boxes, balance, refused)


def _payer(subscription_id: int, customer_id: int) -> sa.Select[Any]:
    """The customer with their own card: nobody else pays for what they add."""
    table, customer, method = table_of(Subscription), table_of(Customer), table_of(PaymentMethod)
    address, plan = table_of(Address), table_of(Plan)
    is_own = sa.and_(table.c.payer_id.is_(None), sa.not_(table.c.is_gift))
    named = sa.and_(is_own, method.c.id == table.c.payment_method_id)
    usable = sa.and_(
        method.c.customer_id == customer.c.id,
        method.c.detached_at.is_(None),
        method.c.refused_at.is_(None),
        sa.or_(named, method.c.is_default),
    )
    return (
        sa.select(
            customer.c.id,
            customer.c.name.label("payer_name"),
            customer.c.email.label("payer_email"),
            *buyer_columns(customer, table),
            customer.c.billing,
            address.c.name.label("ship_name"),
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.postcode,
            address.c.city,
            address.c.region,
            address.c.country,
            plan.c.tax_class.label("plan_tax_class"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            method.c.brand,
            method.c.last4,
            method.c.kind.label("method_kind"),
        )
        .select_from(table)
        .join(customer, customer.c.id == customer_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(method, usable)
        .where(table.c.id == subscription_id)
        # The one it names, as long as that can be used.
        .order_by(sa.case((named, 0), else_=1))
        .limit(1)
    )


def open_boxes(subscription_id: int, today: date) -> sa.Select[Any]:
    """Select the paid boxes of a subscription whose cut-off is not over, in order."""
    box, cycle, period = table_of(Box), table_of(BoxCycle), table_of(SubscriptionPeriod)
    return (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.period_id,
            box.c.quantity,
            box.c.options,
            cycle.c.ship_from,
            cycle.c.cutoff_on,
        )
        .join(period, period.c.id == box.c.period_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            box.c.subscription_id == subscription_id,
            is_open(box),
            period.c.state == PeriodState.PAID,
            sa.or_(cycle.c.id.is_(None), cycle.c.cutoff_on >= today),
        )
        .order_by(sa.case((cycle.c.id.is_(None), 1), else_=0), cycle.c.ship_from, box.c.id)
    )


def _refused(session: AnySession, row: AnyRow, boxes: Sequence[AnyRow]) -> str:
    if row.state in ENDED:
        return "ends"
    if row.held_at is not None:
        return "on_hold"
    if row.state == SubscriptionState.PAST_DUE:
        return "unpaid"
    if not boxes:
        return "no_box"
    change = table_of(ScheduledChange)
    changing = sa.select(change.c.id).where(
        change.c.subscription_id == row.id,
        change.c.state == "waiting",
        change.c.invoice_id.is_not(None),
    )
    if session.scalar(changing.limit(1)) is not None:
        return "changing"
    table = table_of(BoxAddition)
    paying = sa.select(table.c.id).where(
        table.c.subscription_id == row.id, table.c.state == "waiting"
    )
    return "" if session.scalar(paying.limit(1)) is None else "paying"


def price_addition(
    session: AnySession,
    facts: AdditionFacts,
    wish: AdditionWish,
    moment: Moment,
    minimums: Minimums,
    *,
    locks: bool = False,
) -> PricedAddition:
    """Say what ``wish`` costs now and later. Raises ``NothingToAddTo`` and ``NotAddable``.

    ``minimums`` are the smallest charges of the gateways; ``locks`` the stock of what is added,
    in a transaction that writes.
    """
    if facts.refused:
        raise NothingToAddTo(reason=facts.refused)
    if not 0 < wish.quantity <= MOST:
        raise NothingToAddTo(reason="quantity")
    addon = next((one for one in facts.own.offered if one.public_id == wish.addon), None)
    if addon is None:
        raise NothingToAddTo(reason="gone")
    boxes = facts.boxes_for(wish.reach)
    variant_id = variant_of(session, addon.id)
    pieces = wish.quantity * len(boxes)
    if not has_pieces(session, variant_id, pieces, moment, locks=locks, counts_waiting=True):
        raise NothingToAddTo(reason="stock")
    document, taxed = _document(session, facts, addon, wish, boxes, moment)
    later = _later(session, facts, wish, moment)
    credit = _from_credit(facts, document.total, minimums)
    return PricedAddition(
        _quote(facts, wish, addon, boxes, document, credit, later),
        document,
        taxed,
        addon,
        variant_id,
        boxes,
    )


def _from_credit(facts: AdditionFacts, total: Money, minimums: Minimums) -> Money:
    """Return what credit pays: as much as leaves the card nothing, or enough to be charged.

    Raises ``NothingToAddTo`` where the card could not pay the rest: carried to a later charge
    (0097), it would be had without being paid where none comes.
    """
    credit, payer = max(min(facts.balance.minor, total.minor), 0), facts.payer
    due = total.minor - credit
    if due and payer.method_id is None:
        raise NothingToAddTo(reason="no_card")
    if is_too_small(due, minimums, payer.gateway, total.currency):
        credit = total.minor - minimums[payer.gateway][total.currency]
        if credit < 0:
            raise NothingToAddTo(reason="small")
    return Money(credit, total.currency)


def variant_of(session: AnySession, addon_id: int) -> int | None:
    """Return what lies in the box of an add-on; None for a service."""
    table = table_of(Addon)
    return session.scalar(sa.select(table.c.variant_id).where(table.c.id == addon_id))


def _document(
    session: AnySession,
    facts: AdditionFacts,
    addon: OfferedAddon,
    wish: AdditionWish,
    boxes: Sequence[AnyRow],
    moment: Moment,
) -> tuple[Quote, Taxed]:
    row, sale = facts.own.coming.row, sale_to(facts.payer, facts.own.taxes)
    taxed = sale.tax(addon.tax_class, moment.today)
    plan_rate = sale.tax(cast(TaxClass, facts.payer.plan_tax_class), moment.today).rate
    beside = SoldBeside(
        addon.name,
        addon.public_id,
        addon.amount,
        wish.quantity * len(boxes),
        taxed.rate,
        False,
        addon.grams,
        addon.id,
    )
    more = more_delivery(session, facts.own.coming, facts.payer, addon, wish.quantity, boxes)
    terms = PeriodTerms(
        plan_name="",
        plan_ref="",
        amount=Money.zero(row.currency),
        interval=Interval(row.unit, row.unit_count),
        boxes=len(boxes),
        quantity=1,
        tax_rate=plan_rate,
        inclusive=row.tax_inclusive,
        beside=(beside,),
        shipping=more,
        rounding=facts.own.taxes.rounding,
        treatment=taxed.treatment,
        tax_source=taxed.source,
    )
    if taxed.treatment is not Treatment.STANDARD:
        terms = without_tax(terms)
    (sold,), sending = terms.beside, terms.shipping or Money.zero(row.currency)
    items = [priced_beside(sold)]
    if not sending.is_zero:
        items.append(PricedItem(LineKind.SHIPPING, "", 1, sending, terms.tax_rate, "shipping"))
    return quote(items, inclusive=terms.inclusive, rounding=terms.rounding), taxed


def _later(
    session: AnySession, facts: AdditionFacts, wish: AdditionWish, moment: Moment
) -> AddonQuote | None:
    """Return what later payments bring and cost; None where it ends with the paid boxes."""
    if not facts.goes_on(wish):
        return None
    again = AddonWish(wish.addon, wish.quantity, Cadence.EVERY)
    return quote_wish(session, facts.own, again, moment)


def _quote(
    facts: AdditionFacts,
    wish: AdditionWish,
    addon: OfferedAddon,
    boxes: Sequence[AnyRow],
    document: Quote,
    credit: Money,
    later: AddonQuote | None,
) -> AdditionQuote:
    total, payer = document.total, facts.payer
    sending = sum(line.amount.minor for line in document.lines if line.kind is LineKind.SHIPPING)
    parts = [
        document.content_hash,
        wish.reach.value,
        *(box.public_id for box in boxes),
        *(box.ship_from for box in boxes),
        credit.minor,
        payer.method_id,
        later.quote_hash if later else "",
    ]
    return AdditionQuote(
        wish,
        addon.name,
        addon.amount,
        tuple(box.ship_from for box in boxes),
        total,
        document.tax,
        Money(sending, total.currency),
        credit,
        payer.brand or "",
        payer.last4 or "",
        total.minor > credit.minor and payer.method_kind in _DEBITS,
        later,
        later is not None and later.asks_consent,
        sha256(";".join(str(part) for part in parts).encode()).hexdigest(),
    )
