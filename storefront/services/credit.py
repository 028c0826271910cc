"""Give a customer credit that pays the next invoices."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.customer_credit import grant_credit
from storefront.runtime import Runtime

#: Longest reason that is kept.
LONGEST = 200


class UnknownCustomer(DomainError):
    """There is no such customer."""

    code = "unknown_customer"


class BadCredit(DomainError):
    """Credit is above zero, in the shop's currency, and has a reason."""

    code = "bad_credit"


def give_credit(rt: Runtime, who: Who, customer: str, amount: Money, reason: str) -> None:
    """Give ``customer`` goodwill, noted in the log. Raises ``UnknownCustomer``, ``BadCredit``."""
    reason = reason.strip()[:LONGEST]
    if amount.minor <= 0 or amount.currency != rt.shop.currency or not reason:
        raise BadCredit(amount=amount.minor)

    def write() -> None:
        table, moment = table_of(Customer), rt.moment()
        key = rt.session.scalar(sa.select(table.c.id).where(table.c.public_id == customer))
        if key is None:
            rt.session.rollback()
            raise UnknownCustomer(customer=customer)
        grant_credit(rt.session, key, amount, "goodwill", reason, moment)
        after = {"amount_minor": amount.minor, "currency": amount.currency, "reason": reason}
        audit.write(rt.session, who.id, "credit.given", customer, {}, after, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)
