"""The merchant's own tax rates, and how tax is rounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import ShopSettings, TaxRate
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.invoices import rate_bp
from storefront.operations.taxes import last_invoiced_on
from storefront.runtime import Runtime

#: Product classes a rate may be entered for; zero is zero everywhere.
CLASSES = ("standard", "reduced")
ROUNDINGS = ("sum", "line")


class AlreadyInvoiced(DomainError):
    """Invoices up to ``last`` (a date) carry the old rate; the new one begins later."""

    code = "rate_already_invoiced"


class RateExists(DomainError):
    """A rate of this place and class begins on that day already."""

    code = "rate_exists"


class RateInForce(DomainError):
    """The rate has begun; a later one can follow it, but it cannot be taken away."""

    code = "rate_in_force"


@dataclass(frozen=True, slots=True)
class RateDraft:
    """A rate as entered: percent, from the tax point ``since`` on."""

    country: str
    region: str
    tax_class: str
    rate: Decimal
    since: date


def add_rate(rt: Runtime, who: Who, draft: RateDraft) -> str:
    """Add a rate and return its public id. Audited.

    Raises ``AlreadyInvoiced`` where an invoice of that country has a tax point on or after
    the first day, ``RateExists``, and ``ValueError`` for a rate or class that cannot be.
    """
    if draft.tax_class not in CLASSES or not 0 <= draft.rate <= 100:
        raise ValueError(f"no rate of {draft.rate} % for {draft.tax_class!r}")
    minor = rate_bp(draft.rate)

    def write() -> str:
        last = last_invoiced_on(rt.session, draft.country, rt.shop.seller_country, draft.since)
        if last is not None:
            raise AlreadyInvoiced(last=last.isoformat())
        ref, table, moment = public_id("tax"), table_of(TaxRate), rt.moment()
        values = {
            "country": draft.country,
            "region": draft.region,
            "tax_class": draft.tax_class,
            "rate_bp": minor,
            "since_on": draft.since,
        }
        rt.session.execute(sa.insert(table).values(public_id=ref, created_at=moment.now, **values))
        raise_version(rt.session)
        audit.write(rt.session, who.id, "tax_rate.added", ref, {}, values, moment, who.ip)
        rt.session.commit()
        return ref

    try:
        ref = retrying(rt.session, write)
    except sa.exc.IntegrityError:
        rt.session.rollback()
        raise RateExists(since=draft.since.isoformat()) from None
    rt.forget_shop()
    return ref


def remove_rate(rt: Runtime, who: Who, ref: str) -> bool:
    """Take away a rate whose first day is to come; False if there is none. Audited.

    Raises ``RateInForce`` once it has begun.
    """
    table = table_of(TaxRate)

    def write() -> bool:
        row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
        if row is None:
            rt.session.rollback()
            return False
        if row.since_on <= rt.today() or last_invoiced_on(
            rt.session, row.country, rt.shop.seller_country, row.since_on
        ):
            raise RateInForce(since=row.since_on.isoformat())
        rt.session.execute(sa.delete(table).where(table.c.id == row.id))
        raise_version(rt.session)
        before = {
            name: row._mapping[name]
            for name in ("country", "region", "tax_class", "rate_bp", "since_on")
        }
        audit.write(rt.session, who.id, "tax_rate.removed", ref, before, {}, rt.moment(), who.ip)
        rt.session.commit()
        return True

    removed = retrying(rt.session, write)
    rt.forget_shop()
    return removed


def set_rounding(rt: Runtime, who: Who, rounding: str) -> bool:
    """Round tax once per rate ("sum") or on each line ("line"); False if it is so already.

    Holds for documents made from now on. Raises ``ValueError`` for another word. Audited.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"unknown rounding {rounding!r}")
    table = table_of(ShopSettings)

    def write() -> bool:
        present = rt.session.execute(sa.select(table.c.tax_rounding).with_for_update()).scalar_one()
        if present == rounding:
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(table).values(tax_rounding=rounding))
        raise_version(rt.session)
        before, after = {"tax_rounding": present}, {"tax_rounding": rounding}
        audit.write(
            rt.session, who.id, "settings.changed", "shop", before, after, rt.moment(), who.ip
        )
        rt.session.commit()
        return True

    changed = retrying(rt.session, write)
    rt.forget_shop()
    return changed
