"""Add, change or take off what is sold beside the boxes of a running subscription."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from storefront.domain.addons import MOST, Cadence
from storefront.domain.boxes import boxes_per_period, project
from storefront.domain.changes import PeriodCost, asks_consent
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.recurring import PeriodTerms, price_period
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Addon, BoxAddition, Subscription, SubscriptionAddon
from storefront.models.base import public_id, table_of
from storefront.operations.addons import OfferedAddon, offered_addons, running_addons
from storefront.operations.discounts import running_discounts
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.shipping import read_delivery
from storefront.operations.skips import Coming, read_coming
from storefront.operations.terms import option_texts, terms_of


class NotAddable(DomainError):
    """``reason`` ends, held, unpaid, paused, paying, gone or quantity; nothing was written."""

    code = "not_addable"


@dataclass(frozen=True, slots=True)
class AddonWish:
    """What is wanted from the next payment on: ``quantity`` of an add-on; 0 takes it off."""

    addon: str
    quantity: int
    cadence: Cadence


@dataclass(frozen=True, slots=True)
class AddonFacts:
    """A subscription, what it has beside its boxes, and what it may have."""

    coming: Coming
    running: Sequence[AnyRow]
    offered: tuple[OfferedAddon, ...]
    taxes: TaxRules
    discounts: Sequence[AnyRow]
    #: Why nothing can be changed; empty: it can.
    refused: str

    @property
    def currency(self) -> str:
        return str(self.coming.row.currency)

    def charged_on(self, today: date) -> date | None:
        """Return the day of the next payment; None where none comes."""
        found = _next(self.coming, today)
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class AddonQuote:
    """What a wish means: the next payment with it, and the first box it comes with.

    ``unit`` is the price of one; ``before`` what that payment would be without the wish, and
    ``later`` the one after it, ``full`` that without discounts. ``ships_on`` is None for a plan
    that ships nothing, or while the cycle is not there yet. ``asks_consent``: it costs more
    again and again.
    """

    addon: str
    name: str
    unit: Money
    quantity: int
    cadence: Cadence
    had: int
    charge_on: date
    before: Money
    amount: Money
    later: Money
    full: Money
    interval: Interval
    ships_on: date | None
    asks_consent: bool
    quote_hash: str


def read_addons(
    session: AnySession,
    customer_id: int,
    subscription: str,
    moment: Moment,
    taxes: TaxRules,
    *,
    for_update: bool = False,
) -> AddonFacts:
    """Return what decides about add-ons of a customer's subscription. Raises ``LookupError``."""
    table = table_of(Subscription)
    hidden = [SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]
    which = sa.and_(
        table.c.public_id == subscription,
        table.c.customer_id == customer_id,
        table.c.state.not_in(hidden),
    )
    found = read_coming(session, which, moment.today, for_update=for_update)
    if not found:
        raise LookupError(subscription)
    row = found[0].row
    return AddonFacts(
        found[0],
        running_addons(session, [row.id]).get(row.id, []),
        offered_addons(session, row.plan_code, row.currency),
        taxes,
        running_discounts(session, [row.id]).get(row.id, []),
        _refused(found[0], moment.today),
    )


def _refused(coming: Coming, today: date) -> str:
    row = coming.row
    if row.state in ENDED or row.cancel_on is not None:
        return "ends"
    if row.held_at is not None:
        return "held"
    if row.state == SubscriptionState.PAST_DUE:
        return "unpaid"
    if row.state == SubscriptionState.PAUSED and row.resumes_on is None:
        return "paused"
    return "ends" if _next(coming, today) is None else ""


def _next(coming: Coming, today: date) -> tuple[date, date | None] | None:
    """Return the next payment's day and when the first box it brings leaves; None: no payment."""
    row = coming.row
    if not row.ships:
        return max(row.next_on, row.anchor_on), None
    for box in project(coming.standing, len(coming.standing.paid) + 12, today):
        if box.charge_on is not None:
            cycle = coming.cycles.get(box.cycle.id) if box.cycle else None
            return box.charge_on, cycle.ship_from if cycle else None
    return None


def quote_wish(
    session: AnySession, facts: AddonFacts, wish: AddonWish, moment: Moment
) -> AddonQuote:
    """Say what ``wish`` costs and from when it holds. Raises ``NotAddable``."""
    found = _next(facts.coming, moment.today)
    if facts.refused or found is None:
        raise NotAddable(reason=facts.refused or "ends")
    if not 0 <= wish.quantity <= MOST:
        raise NotAddable(reason="quantity")
    if wish.quantity and _is_being_paid(session, facts.coming.row.id, wish.addon):
        raise NotAddable(reason="paying")
    charge_on, ships_on = found
    name, unit, tax_class, grams = _priced(facts, wish)
    others = [one for one in facts.running if one.addon_ref != wish.addon]
    had = sum(one.quantity for one in facts.running if one.addon_ref == wish.addon)
    wished: list[Any] = list(others)
    if wish.quantity:
        wished.append(
            SimpleNamespace(
                id=0,
                # Only its price is asked for.
                addon_id=None,
                name=name,
                unit_minor=unit.minor,
                quantity=wish.quantity,
                cadence=wish.cadence.value,
                tax_class=tax_class,
                grams=grams,
            )
        )
    old, new = (_costs(session, facts, rows, charge_on) for rows in (facts.running, wished))
    parts = [wish.addon, wish.quantity, wish.cadence.value, unit.minor, charge_on, ships_on]
    text = ";".join(str(part) for part in [*parts, new[0].minor, new[1].minor])
    row = facts.coming.row
    interval = Interval(row.unit, row.unit_count)
    return AddonQuote(
        wish.addon,
        name,
        unit,
        wish.quantity,
        wish.cadence,
        had,
        charge_on,
        old[0],
        new[0],
        new[1],
        new[2],
        interval,
        ships_on,
        # What comes once is named with its price above the button; this is about what renews.
        asks_consent(PeriodCost(interval, old[1], old[2]), PeriodCost(interval, new[1], new[2])),
        sha256(text.encode()).hexdigest(),
    )


def _is_being_paid(session: AnySession, subscription_id: int, addon: str) -> bool:
    """Return whether it is being bought for paid boxes, and for what is paid after these."""
    table, sold = table_of(BoxAddition), table_of(Addon)
    found = (
        sa.select(table.c.id)
        .join(sold, sold.c.id == table.c.addon_id)
        .where(
            table.c.subscription_id == subscription_id,
            table.c.state == "waiting",
            table.c.goes_on_from.is_not(None),
            sold.c.public_id == addon,
        )
    )
    return session.scalar(found.limit(1)) is not None


def _priced(facts: AddonFacts, wish: AddonWish) -> tuple[str, Money, str, int]:
    """Return name, price of one, tax class, grams; what it has keeps the price of its order."""
    for row in facts.running:
        if row.addon_ref == wish.addon:
            return row.name, Money(row.unit_minor, facts.currency), row.tax_class, row.grams
    for one in facts.offered:
        if one.public_id == wish.addon and wish.quantity:
            return one.name, one.amount, one.tax_class, one.grams
    raise NotAddable(reason="gone")


def _costs(
    session: AnySession, facts: AddonFacts, addons: Sequence[Any], on: date
) -> tuple[Money, Money, Money]:
    """Return the next payment, the one after it, and that without discounts."""
    coming, row = facts.coming, facts.coming.row
    standing = coming.standing
    boxes = boxes_per_period(standing.billing, standing.shipping) if row.ships else 0
    options = option_texts(session, {row.plan_id} if row.options else set())
    delivery = read_delivery(session)

    def terms(ahead: int) -> PeriodTerms:
        return terms_of(
            row,
            boxes,
            facts.discounts,
            options,
            facts.taxes,
            on,
            delivery=delivery,
            ahead=ahead,
            addons=addons,
        )

    after = terms(1)
    plain = replace(after, discounts=())
    first, second, full = (price_period(one).quote.total for one in (terms(0), after, plain))
    return first, second, full


def write_wish(session: AnySession, facts: AddonFacts, quote: AddonQuote, moment: Moment) -> None:
    """End what there is of the add-on and begin what is wanted; flushed, not committed."""
    table = table_of(SubscriptionAddon)
    mine = [one for one in facts.running if one.addon_ref == quote.addon]
    session.execute(
        sa.update(table).where(table.c.id.in_([one.id for one in mine])).values(ended_at=moment.now)
    )
    if not quote.quantity:
        return
    keys = [one.addon_id for one in mine] + [
        one.id for one in facts.offered if one.public_id == quote.addon
    ]
    session.execute(
        sa.insert(table).values(
            public_id=public_id("sad"),
            subscription_id=facts.coming.row.id,
            addon_id=keys[0],
            quantity=quote.quantity,
            unit_minor=quote.unit.minor,
            cadence=quote.cadence.value,
            created_at=moment.now,
        )
    )
