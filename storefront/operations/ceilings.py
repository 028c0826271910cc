"""How often one card may be asked for one amount: the card schemes' ceilings.

No setting exceeds them, and every way to ``sent`` passes here: the worker's slices ask
``below_ceilings`` and ``tries_left``, a charge that is sent while its customer waits asks
``check_ceilings``. Source: docs/decisions/0092-ceilings-of-the-card-schemes.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import (
    MAX_TRIES_PER_DAY,
    MAX_TRIES_PER_MONTH,
    PAY_NOW_PER_CARD,
    PAY_NOW_PER_INVOICE,
    TriedTooOften,
)
from storefront.models import ChargeAttempt, Invoice, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect, AnySession, any_of
from storefront.operations.moment import Moment

#: A card by its fingerprint, and minor units of its currency.
CardAndAmount = tuple[str, int]

DAY, MONTH = timedelta(days=1), timedelta(days=30)


def since(moment: Moment) -> dict[str, Any]:
    """Return the parameters that ``below_ceilings`` needs in its statement."""
    return {"day": moment.now - DAY, "month": moment.now - MONTH}


def below_ceilings(attempt: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that an attempt's card may be asked for its amount once more."""
    other = table_of(ChargeAttempt).alias()

    def tries(start: str) -> sa.ScalarSelect[int]:
        return (
            sa.select(sa.func.count())
            .where(
                other.c.fingerprint == attempt.c.fingerprint,
                other.c.amount_minor == attempt.c.amount_minor,
                other.c.sent_at >= sa.bindparam(start, type_=other.c.sent_at.type),
            )
            .scalar_subquery()
        )

    return sa.or_(
        attempt.c.fingerprint == "",
        sa.and_(tries("day") < MAX_TRIES_PER_DAY, tries("month") < MAX_TRIES_PER_MONTH),
    )


def tries_left(
    session: AnySession, cards: Collection[CardAndAmount], moment: Moment
) -> dict[CardAndAmount, int]:
    """Return how often each card may be asked for its amount now; one statement for all."""
    prints = sorted({fingerprint for fingerprint, _ in cards})
    rows = session.execute(_tries_statement(), {"ids": prints, **since(moment)}).all()
    left = dict.fromkeys(cards, MAX_TRIES_PER_DAY)
    for row in rows:
        if (row.fingerprint, row.amount_minor) in left:
            rest = min(MAX_TRIES_PER_DAY - row.in_day, MAX_TRIES_PER_MONTH - row.in_month)
            left[row.fingerprint, row.amount_minor] = rest
    return left


def free_at(session: AnySession, card: CardAndAmount, moment: Moment) -> datetime:
    """Return from when on a card may be asked for its amount, if nobody asks it before."""
    table = table_of(ChargeAttempt)
    sent: Sequence[datetime] = session.scalars(
        sa.select(table.c.sent_at)
        .where(
            table.c.fingerprint == card[0],
            table.c.amount_minor == card[1],
            table.c.sent_at >= moment.now - MONTH,
        )
        .order_by(table.c.sent_at.desc())
    ).all()
    ceilings = ((MAX_TRIES_PER_DAY, DAY), (MAX_TRIES_PER_MONTH, MONTH))
    # Once the last but so many is older than the span, there is room for one more.
    return max(
        [moment.now, *(sent[most - 1] + span for most, span in ceilings if len(sent) >= most)]
    )


def check_ceilings(session: AnySession, cards: Sequence[CardAndAmount], moment: Moment) -> None:
    """Raise ``TriedTooOften`` unless each of ``cards`` may be asked for its amount now.

    A card without a fingerprint cannot be told from another, so nothing is counted for it.
    """
    wanted = Counter(card for card in cards if card[0])
    if wanted:
        left = tries_left(session, wanted, moment)
        if any(left[card] < count for card, count in wanted.items()):
            raise TriedTooOften


def within_slice(session: AnySession, cards: Sequence[CardAndAmount], moment: Moment) -> list[bool]:
    """Return for each of ``cards``, all below the ceilings, whether it still is after those before.

    Asks the database only where a slice holds the same card and amount more than once.
    """
    counts = Counter(card for card in cards if card[0])
    shared = {card for card, count in counts.items() if count > 1}
    if not shared:
        return [True] * len(cards)
    left = tries_left(session, shared, moment)
    allowed = []
    for card in cards:
        allowed.append(card not in shared or left[card] > 0)
        if card in shared:
            left[card] -= 1
    return allowed


@dataclass(frozen=True, slots=True)
class PaidNow:
    """How often the customer had an invoice charged today: with one card, and in all."""

    with_card: int = 0
    in_all: int = 0

    @property
    def is_enough(self) -> bool:
        """True when "Pay now" waits for another card or the next day."""
        return self.with_card >= PAY_NOW_PER_CARD or self.in_all >= PAY_NOW_PER_INVOICE


def paid_now(session: AnySession, invoice_id: int, moment: Moment) -> PaidNow:
    """Return how often the customer tried to pay an invoice today."""
    invoice = table_of(Invoice)
    row = session.execute(
        sa.select(*tries_today(invoice)).where(invoice.c.id == invoice_id),
        {"day_began": moment.start_of(moment.today)},
    ).one()
    return PaidNow(row.tries_with_card, row.tries_in_all)


def tries_today(invoice: sa.Table) -> tuple[sa.Label[int], sa.Label[int]]:
    """Return columns beside ``invoice``: ``tries_with_card`` and ``tries_in_all``.

    What the customer tried since the statement's parameter ``day_began``, which is when the day
    began in the shop, with the card that pays now.
    """
    table, method = table_of(ChargeAttempt).alias(), table_of(PaymentMethod)
    tries = sa.select(sa.func.count()).where(
        table.c.invoice_id == invoice.c.id,
        table.c.on_session,
        table.c.sent_at >= sa.bindparam("day_began", type_=table.c.sent_at.type),
    )
    card = sa.exists().where(
        method.c.id == table.c.payment_method_id,
        method.c.customer_id == invoice.c.payer_id,
        method.c.is_default,
    )
    return (
        tries.where(card).correlate(invoice).scalar_subquery().label("tries_with_card"),
        tries.correlate(invoice).scalar_subquery().label("tries_in_all"),
    )


@cache
def _tries_statement() -> AnySelect:
    table = table_of(ChargeAttempt)
    day, month = (sa.bindparam(name, type_=table.c.sent_at.type) for name in ("day", "month"))
    in_day = sa.func.sum(sa.case((table.c.sent_at >= day, 1), else_=0))
    return (
        sa.select(
            table.c.fingerprint,
            table.c.amount_minor,
            in_day.label("in_day"),
            sa.func.count().label("in_month"),
        )
        .where(any_of(table.c.fingerprint), table.c.sent_at >= month)
        .group_by(table.c.fingerprint, table.c.amount_minor)
    )
