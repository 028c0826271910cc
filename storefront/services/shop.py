"""What the merchant sets for the whole shop, and the switch that holds all charging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import Price, ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime

#: What ``save_settings`` may change; anything else in a form is nobody's business.
EDITABLE = (
    "name",
    "line",
    "lines",
    "support_email",
    "seller_name",
    "seller_address",
    "seller_tax_id",
    "seller_country",
    "bank_details",
    "payment_days",
    "invoice_footer",
    "document_years",
    "zone",
    "currency",
    "locale",
    "countries",
    "phone",
    "referral_giver_minor",
    "referral_friend_minor",
    "catch_up",
    "embed_origins",
    "declines_person",
    "declines_address",
    "declines_alarm",
)


class CurrencyFixed(DomainError):
    """Prices exist in the shop's currency; another one would change what they mean."""

    code = "currency_fixed"


class NoGateway(DomainError):
    """Nobody could store a method: no gateway was named, or one that is not installed."""

    code = "no_gateway"


def save_settings(rt: Runtime, who: Who, values: Mapping[str, Any]) -> bool:
    """Save settings; False when nothing differs from what is saved.

    Raises ``CurrencyFixed`` for another currency once there are prices, and ``KeyError``
    for a setting that is not among ``EDITABLE``.
    """
    strange = set(values) - set(EDITABLE)
    if strange:
        raise KeyError(", ".join(sorted(strange)))

    def write() -> bool:
        row = _row(rt)
        before = {key: getattr(row, key) for key in values}
        changed = {key: value for key, value in values.items() if before[key] != value}
        if not changed:
            rt.session.rollback()
            return False
        if "currency" in changed and has_prices(rt):
            raise CurrencyFixed(currency=row.currency)
        rt.session.execute(sa.update(table_of(ShopSettings)).values(**changed))
        raise_version(rt.session)
        old = {key: before[key] for key in changed}
        audit.write(rt.session, who.id, "settings.changed", SHOP, old, changed, rt.moment(), who.ip)
        rt.session.commit()
        return True

    saved = retrying(rt.session, write)
    rt.forget_shop()
    return saved


def set_sign_up_gateways(rt: Runtime, who: Who, names: Sequence[str]) -> bool:
    """Let new methods be stored with these gateways only, in this order; False if it is so.

    What is stored already stays with its gateway and is charged there. Raises ``NoGateway`` for
    none, or for one that is not installed.
    """
    if not names or set(names) - set(rt.gateways):
        raise NoGateway

    def write() -> bool:
        before = _row(rt).sign_up_gateways
        if before == list(names):
            rt.session.rollback()
            return False
        table, after = table_of(ShopSettings), list(names)
        rt.session.execute(sa.update(table).values(sign_up_gateways=after))
        audit.write(
            rt.session,
            who.id,
            "settings.changed",
            SHOP,
            {"sign_up_gateways": before},
            {"sign_up_gateways": after},
            rt.moment(),
            who.ip,
        )
        rt.session.commit()
        return True

    changed = retrying(rt.session, write)
    rt.forget_shop()
    return changed


def has_prices(rt: Runtime) -> bool:
    """True once anything has a price, and so the currency is settled."""
    return rt.session.execute(sa.select(table_of(Price).c.id).limit(1)).first() is not None


def hold_charging(rt: Runtime, who: Who) -> bool:
    """Send no charge from now on; what is under way is still recorded. False if held already."""
    return _switch(rt, who, hold=True)


def resume_charging(rt: Runtime, who: Who) -> bool:
    """Let charges go out again; False if they did. What is late by over 48 h waits for a look."""
    return _switch(rt, who, hold=False)


def _switch(rt: Runtime, who: Who, *, hold: bool) -> bool:
    def write() -> bool:
        table, held_at = table_of(ShopSettings), _row(rt).charging_held_at
        if (held_at is not None) == hold:
            rt.session.rollback()
            return False
        new = rt.now() if hold else None
        rt.session.execute(sa.update(table).values(charging_held_at=new))
        action = "charging.held" if hold else "charging.resumed"
        before, after = {"held_at": held_at}, {"held_at": new}
        audit.write(rt.session, who.id, action, SHOP, before, after, rt.moment(), who.ip)
        rt.session.commit()
        return True

    switched = retrying(rt.session, write)
    rt.forget_shop()
    return switched


def _row(rt: Runtime) -> AnyRow:
    return rt.session.execute(sa.select(table_of(ShopSettings)).with_for_update()).one()
