"""The merchant's list of add-ons: what they cost, with which plans they are offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.rates import TaxClass
from storefront.models import Addon, Plan, ProductVariant
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class BadAddon(DomainError):
    """``field`` name, amounts, tax_class, sku or plans cannot be taken."""

    code = "bad_addon"


@dataclass(frozen=True, slots=True)
class AddonDraft:
    """``amounts`` is the price of one by currency, ``sku`` what goes into the parcel (or none).

    ``plans`` are codes; none means every plan.
    """

    name: str
    hint: str
    amounts: Mapping[str, Money]
    tax_class: str
    sku: str
    plans: tuple[str, ...]
    position: int = 0
    #: By language: name and hint.
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def save_addon(rt: Runtime, who: Who, draft: AddonDraft, ref: str | None = None) -> str:
    """Add an add-on, or change the one called ``ref``; returns its public id.

    A new price holds for what is added from now on; subscriptions keep theirs. Raises
    ``BadAddon``, and ``LookupError`` for an unknown ``ref``.
    """

    def write() -> str:
        table, moment = table_of(Addon), rt.moment()
        values = _values(rt, draft)
        row = _row(rt, ref) if ref is not None else None
        if row is None:
            key = public_id("adn")
            rt.session.execute(
                sa.insert(table).values(public_id=key, created_at=moment.now, **values)
            )
            before: dict[str, Any] = {}
        else:
            key = row.public_id
            before = {name: getattr(row, name) for name in values}
            rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        raise_version(rt.session)
        audit.write(rt.session, who.id, "addon.saved", key, before, values, moment, who.ip)
        rt.session.commit()
        return key

    return retrying(rt.session, write)


def archive_addon(rt: Runtime, who: Who, ref: str, *, restore: bool = False) -> None:
    """Take an add-on off sale, or put it back; who has it keeps it. Raises ``LookupError``."""

    def write() -> None:
        table, moment = table_of(Addon), rt.moment()
        row = _row(rt, ref)
        if (row.archived_at is None) is restore:
            rt.session.rollback()
            return
        at = None if restore else moment.now
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(archived_at=at))
        raise_version(rt.session)
        action = "addon.restored" if restore else "addon.archived"
        audit.write(rt.session, who.id, action, ref, {}, {}, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)


def _row(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(Addon)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise LookupError(ref)
    return row


def _values(rt: Runtime, draft: AddonDraft) -> dict[str, Any]:
    if not draft.name:
        raise BadAddon(field="name")
    if not draft.amounts or any(
        one.minor <= 0 or one.currency != code for code, one in draft.amounts.items()
    ):
        raise BadAddon(field="amounts")
    if draft.tax_class not in get_args(TaxClass):
        raise BadAddon(field="tax_class")
    variant, plan = table_of(ProductVariant), table_of(Plan)
    variant_id = None
    if draft.sku:
        variant_id = rt.session.scalar(sa.select(variant.c.id).where(variant.c.sku == draft.sku))
        if variant_id is None:
            raise BadAddon(field="sku")
    known = set(rt.session.scalars(sa.select(plan.c.code).where(plan.c.code.in_(draft.plans))))
    if known != set(draft.plans):
        raise BadAddon(field="plans")
    return {
        "name": draft.name,
        "hint": draft.hint,
        "amounts": {code: one.minor for code, one in draft.amounts.items()},
        "tax_class": draft.tax_class,
        "variant_id": variant_id,
        "plans": sorted(draft.plans),
        "position": draft.position,
        "translations": {code: dict(texts) for code, texts in draft.translations.items()},
    }
