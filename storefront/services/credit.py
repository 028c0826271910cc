"""Give a customer credit that pays the next invoices."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.models import Customer, Price, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.customer_credit import grant_credit
from storefront.runtime import Runtime

#: Longest reason that is kept, and the most that is given at once, in minor units.
LONGEST, MOST = 200, 100_000


class UnknownCustomer(DomainError):
    """There is no such customer."""

    code = "unknown_customer"


class BadCredit(DomainError):
    """Credit is above zero up to a limit, in a currency the customer pays, for a reason.

    ``reason`` says what is wrong: amount, limit, currency, reason.
    """

    code = "bad_credit"


def give_credit(
    rt: Runtime, who: Who, customer: str, amount: Money, reason: str, once: str = ""
) -> bool:
    """Give ``customer`` goodwill, noted in the log; False when this form gave it already.

    ``once`` names the form. Raises ``UnknownCustomer`` (also for a closed account) and
    ``BadCredit``.
    """
    reason = reason.strip()[:LONGEST]
    wrong = _wrong(amount, reason)
    if wrong:
        raise BadCredit(reason=wrong)

    def write() -> bool:
        table, moment = table_of(Customer), rt.moment()
        # Locked, so that the second of two clicks sees what the first one did.
        key = rt.session.scalar(
            sa.select(table.c.id)
            .where(
                table.c.public_id == customer,
                table.c.merged_into_id.is_(None),
                table.c.erased_at.is_(None),
            )
            .with_for_update()
        )
        if key is None:
            rt.session.rollback()
            raise UnknownCustomer(customer=customer)
        if amount.currency not in currencies_of(rt, customer):
            rt.session.rollback()
            raise BadCredit(reason="currency")
        if audit.done_before(rt.session, "credit.given", customer, once) is not None:
            rt.session.rollback()
            return False
        grant_credit(rt.session, key, amount, "goodwill", reason, moment)
        after = {"amount_minor": amount.minor, "currency": amount.currency, "reason": reason}
        if once:
            after["once"] = once
        audit.write(rt.session, who.id, "credit.given", customer, {}, after, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def currencies_of(rt: Runtime, customer: str) -> list[str]:
    """Return the currencies credit of ``customer`` can be in: what they pay, then the shop's."""
    table, subscription, price = table_of(Customer), table_of(Subscription), table_of(Price)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    paid = rt.session.scalars(
        sa.select(price.c.currency)
        .join(subscription, subscription.c.price_id == price.c.id)
        .join(table, table.c.id == payer)
        .where(table.c.public_id == customer)
        .group_by(price.c.currency)
        .order_by(sa.func.max(subscription.c.id).desc())
    )
    return list(dict.fromkeys((*paid, rt.shop.currency)))


def _wrong(amount: Money, reason: str) -> str:
    if amount.minor <= 0:
        return "amount"
    if amount.minor > MOST:
        return "limit"
    return "" if reason else "reason"
