"""What the merchant asks for sending a box."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.models import ShippingRate
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class BadRate(DomainError):
    """The cost and the amount it is free from are in one currency and not below zero."""

    code = "bad_rate"


def save_rate(rt: Runtime, who: Who, country: str, cost: Money, free_from: Money | None) -> bool:
    """Set what a box to ``country`` (empty: every other) costs; False when it is so already.

    It holds for orders and payments from now on; what is invoiced stays. Raises ``BadRate``.
    """
    wrong = cost.minor < 0 or (free_from is not None and free_from.minor < 0)
    if wrong or (free_from is not None and free_from.currency != cost.currency):
        raise BadRate(country=country)

    def write() -> bool:
        table, moment = table_of(ShippingRate), rt.moment()
        values = {
            "amount_minor": cost.minor,
            "free_from_minor": free_from.minor if free_from else None,
        }
        row = _rate(rt, country, cost.currency)
        before = {name: getattr(row, name) for name in values} if row else {}
        if before == values:
            rt.session.rollback()
            return False
        if row is None:
            rt.session.execute(
                sa.insert(table).values(country=country, currency=cost.currency, **values)
            )
        else:
            rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        raise_version(rt.session)
        after = {**values, "currency": cost.currency}
        ref = country or "other"
        audit.write(rt.session, who.id, "shipping.saved", ref, before, after, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def remove_rate(rt: Runtime, who: Who, country: str, currency: str) -> bool:
    """Ask nothing of its own for a country any more; False when there was nothing."""

    def write() -> bool:
        table, moment = table_of(ShippingRate), rt.moment()
        row = _rate(rt, country, currency)
        if row is None:
            rt.session.rollback()
            return False
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        raise_version(rt.session)
        before = {"amount_minor": row.amount_minor, "currency": currency}
        ref = country or "other"
        audit.write(rt.session, who.id, "shipping.removed", ref, before, {}, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _rate(rt: Runtime, country: str, currency: str) -> AnyRow | None:
    table = table_of(ShippingRate)
    return rt.session.execute(
        sa.select(table).where(table.c.country == country, table.c.currency == currency)
    ).one_or_none()
