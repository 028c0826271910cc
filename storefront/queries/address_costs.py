"""What the next payment of a subscription would be with another address, by the renewal's price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import ENDED
from storefront.domain.money import Money
from storefront.domain.rates import NoRate
from storefront.domain.recurring import PricedPeriod
from storefront.domain.tax_treatment import TaxRules, Treatment
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.moment import Moment
from storefront.operations.skips import Coming, read_coming
from storefront.queries.next_payment import Costs, next_charge, priced_for, read_costs

#: What of an address decides a price.
_PLACE = ("country", "region", "postcode", "city")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as far as an address decides it; ``delivery`` of one box, None: included."""

    total: Money
    delivery: Money | None
    tax: Money
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class AddressCost:
    """The next payment of one subscription, on ``on``, with its address and with another."""

    plan: str
    on: date
    now: Payment
    then: Payment


def address_costs(
    session: AnySession,
    customer_id: int,
    subscriptions: Sequence[str],
    typed: Mapping[str, str],
    moment: Moment,
    taxes: TaxRules,
) -> tuple[AddressCost, ...]:
    """Return the next payments that another address changes; none for those it does not.

    What is paid for already stays as it was paid. Raises ``NoRate`` where the other address
    cannot be taxed.
    """
    table = table_of(Subscription)
    which = sa.and_(
        table.c.customer_id == customer_id,
        table.c.public_id.in_(subscriptions),
        table.c.state.not_in(ENDED),
    )
    found = read_coming(session, which, moment.today)
    costs = read_costs(session, found, taxes)
    compared = (_compared(coming, costs, typed, moment) for coming in found)
    return tuple(one for one in compared if one is not None and one.now != one.then)


def shown_hash(costs: Sequence[AddressCost]) -> str:
    """Return what stands for the amounts that were shown, to notice that they changed."""
    return sha256(repr(costs).encode()).hexdigest()[:24]


def _compared(
    coming: Coming, costs: Costs, typed: Mapping[str, str], moment: Moment
) -> AddressCost | None:
    try:
        charge = next_charge(coming, costs, moment)
        if charge is None:
            return None
        on, _amount = charge
        now = _payment(priced_for(coming, coming.row, costs, on))
    except NoRate:
        # Nothing can be charged where they live now, so there is nothing to compare with.
        return None
    place = {name: typed.get(name, "") for name in _PLACE}
    # With a change booked the row is a copy already.
    row: Any = coming.row
    values = vars(row) if isinstance(row, SimpleNamespace) else row._mapping
    moved: Any = SimpleNamespace(**{**values, **place})
    then = _payment(priced_for(coming, moved, costs, on))
    return AddressCost(coming.row.plan_name, on, now, then)


def _payment(priced: PricedPeriod) -> Payment:
    quote = priced.quote
    each = next((line.unit for line in quote.lines if line.kind is LineKind.SHIPPING), None)
    return Payment(quote.total, each, quote.tax, priced.treatment)
