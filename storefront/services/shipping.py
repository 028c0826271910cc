"""What the merchant asks for sending a box: zones, prices by weight, and what boxes weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.shipping import Area, Tariff
from storefront.models import (
    BoxWeight,
    Plan,
    ShippingArea,
    ShippingBand,
    ShippingTariff,
    ShippingZone,
)
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import lock_catalogue, raise_version
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class BadZone(DomainError):
    """A zone needs a place, and prices that begin at 0 grams, unless it is blocked."""

    code = "bad_zone"


class PlaceTaken(DomainError):
    """``country`` with ``prefix`` belongs to another zone."""

    code = "place_taken"


class ZoneGone(DomainError):
    """No such zone."""

    code = "zone_gone"


@dataclass(frozen=True, slots=True)
class ZoneDraft:
    """A zone as typed; ``tariff`` is in one currency, None where nothing is sent to."""

    areas: tuple[Area, ...]
    tariff: Tariff | None
    name: str = ""

    @property
    def is_blocked(self) -> bool:
        return self.tariff is None


def save_zone(rt: Runtime, who: Who, draft: ZoneDraft, ref: str = "") -> str:
    """Make a zone, or write the one called ``ref`` anew; returns its name.

    It holds for orders and payments from now on; what is invoiced stays. Prices it has in
    another currency stay too. Raises ``BadZone``, ``PlaceTaken`` and ``ZoneGone``.
    """
    _check(draft)

    def write() -> str:
        moment = rt.moment()
        # Two of the staff who save at once queue: places of one never meet prices of the other.
        lock_catalogue(rt.session)
        row = _zone(rt, ref) if ref else None
        before = _told(rt, row) if row is not None else {}
        key, public = (row.id, row.public_id) if row is not None else _new(rt)
        _refuse_taken(rt, key, draft)
        zone = table_of(ShippingZone)
        rt.session.execute(
            sa.update(zone)
            .where(zone.c.id == key)
            .values(name=draft.name, is_blocked=draft.is_blocked)
        )
        _write_areas(rt, key, draft)
        if draft.tariff is not None:
            _write_tariff(rt, key, draft.tariff)
        raise_version(rt.session)
        after = _told(rt, _zone(rt, public))
        audit.write(rt.session, who.id, "shipping.saved", public, before, after, moment, who.ip)
        rt.session.commit()
        return public

    return retrying(rt.session, write)


def remove_zone(rt: Runtime, who: Who, ref: str) -> None:
    """Forget a zone: its places are then those of the next wider one. Raises ``ZoneGone``."""

    def write() -> None:
        lock_catalogue(rt.session)
        row, moment = _zone(rt, ref), rt.moment()
        before = _told(rt, row)
        area, zone, tariff = table_of(ShippingArea), table_of(ShippingZone), _tariffs_of(row.id)
        band, table = table_of(ShippingBand), table_of(ShippingTariff)
        rt.session.execute(sa.delete(band).where(band.c.tariff_id.in_(tariff)))
        rt.session.execute(sa.delete(table).where(table.c.zone_id == row.id))
        rt.session.execute(sa.delete(area).where(area.c.zone_id == row.id))
        rt.session.execute(sa.delete(zone).where(zone.c.id == row.id))
        raise_version(rt.session)
        audit.write(rt.session, who.id, "shipping.removed", ref, before, {}, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)


def save_weights(rt: Runtime, who: Who, plan: str, grams: Mapping[str, int | None]) -> bool:
    """Say what one box of a plan counts as, by option key; None forgets one.

    ``grams`` names every weight that is to change. False where all is so already. Raises
    ``LookupError`` for an unknown plan and ``BadZone`` for a weight below zero.
    """
    if any(one is not None and one < 0 for one in grams.values()):
        raise BadZone(reason="weight")

    def write() -> bool:
        table, plans, moment = table_of(BoxWeight), table_of(Plan), rt.moment()
        lock_catalogue(rt.session)
        plan_id = rt.session.scalar(sa.select(plans.c.id).where(plans.c.code == plan))
        if plan_id is None:
            raise LookupError(f"no plan {plan}")
        rows = rt.session.execute(sa.select(table).where(table.c.plan_id == plan_id))
        before = {row.option_key: row.grams for row in rows}
        after = {**before, **grams}
        kept = {key: one for key, one in after.items() if one is not None}
        if kept == before:
            rt.session.rollback()
            return False
        rt.session.execute(sa.delete(table).where(table.c.plan_id == plan_id))
        if kept:
            rt.session.execute(
                sa.insert(table),
                [{"plan_id": plan_id, "option_key": k, "grams": v} for k, v in kept.items()],
            )
        raise_version(rt.session)
        audit.write(rt.session, who.id, "shipping.weights", plan, before, kept, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _check(draft: ZoneDraft) -> None:
    if not draft.areas or len(set(draft.areas)) < len(draft.areas):
        raise BadZone(reason="places")
    if any(area.prefix and not area.country for area in draft.areas):
        raise BadZone(reason="places")
    if draft.tariff is None:
        return
    bands, free = draft.tariff.bands, draft.tariff.free_from
    begins = [band.from_grams for band in bands]
    if not begins or begins[0] != 0 or begins != sorted(set(begins)):
        raise BadZone(reason="bands")
    amounts = [band.amount for band in bands] + ([free] if free is not None else [])
    if any(one.minor < 0 or one.currency != draft.tariff.currency for one in amounts):
        raise BadZone(reason="amount")


def _new(rt: Runtime) -> tuple[int, str]:
    table, ref = table_of(ShippingZone), public_id("zon")
    values = {"public_id": ref, "name": "", "is_blocked": False, "created_at": rt.now()}
    key = rt.session.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one()
    return key, ref


def _refuse_taken(rt: Runtime, key: int, draft: ZoneDraft) -> None:
    area = table_of(ShippingArea)
    rows = rt.session.execute(sa.select(area.c.country, area.c.prefix).where(area.c.zone_id != key))
    taken = {Area(row.country, row.prefix) for row in rows} & set(draft.areas)
    if taken:
        first = min(taken, key=lambda one: (one.country, one.prefix))
        rt.session.rollback()
        raise PlaceTaken(country=first.country, prefix=first.prefix)


def _write_areas(rt: Runtime, key: int, draft: ZoneDraft) -> None:
    area = table_of(ShippingArea)
    rt.session.execute(sa.delete(area).where(area.c.zone_id == key))
    rt.session.execute(
        sa.insert(area),
        [{"zone_id": key, "country": one.country, "prefix": one.prefix} for one in draft.areas],
    )


def _write_tariff(rt: Runtime, key: int, tariff: Tariff) -> None:
    table, band = table_of(ShippingTariff), table_of(ShippingBand)
    free = tariff.free_from.minor if tariff.free_from is not None else None
    mine = sa.and_(table.c.zone_id == key, table.c.currency == tariff.currency)
    found = rt.session.scalar(sa.select(table.c.id).where(mine))
    if found is None:
        values = {"zone_id": key, "currency": tariff.currency, "free_from_minor": free}
        found = rt.session.execute(
            sa.insert(table).values(**values).returning(table.c.id)
        ).scalar_one()
    else:
        rt.session.execute(sa.update(table).where(mine).values(free_from_minor=free))
        rt.session.execute(sa.delete(band).where(band.c.tariff_id == found))
    rows = [
        {"tariff_id": found, "from_grams": one.from_grams, "amount_minor": one.amount.minor}
        for one in tariff.bands
    ]
    rt.session.execute(sa.insert(band), rows)


def _zone(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(ShippingZone)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise ZoneGone(zone=ref)
    return row


def _tariffs_of(zone_id: int) -> sa.Select[Any]:
    table = table_of(ShippingTariff)
    return sa.select(table.c.id).where(table.c.zone_id == zone_id)


def _told(rt: Runtime, row: AnyRow) -> dict[str, Any]:
    """Return a zone as the log keeps it: places, and prices as "EUR from 0 g: 490"."""
    area, tariff, band = table_of(ShippingArea), table_of(ShippingTariff), table_of(ShippingBand)
    places = rt.session.execute(
        sa.select(area.c.country, area.c.prefix)
        .where(area.c.zone_id == row.id)
        .order_by(area.c.country, area.c.prefix)
    )
    prices = rt.session.execute(
        sa.select(
            tariff.c.currency, tariff.c.free_from_minor, band.c.from_grams, band.c.amount_minor
        )
        .join(band, band.c.tariff_id == tariff.c.id)
        .where(tariff.c.zone_id == row.id)
        .order_by(tariff.c.currency, band.c.from_grams)
    ).all()
    return {
        "name": row.name,
        "is_blocked": row.is_blocked,
        "places": [" ".join(filter(None, (one.country or "*", one.prefix))) for one in places],
        "prices": [[one.currency, one.from_grams, one.amount_minor] for one in prices],
        "free_from_minor": {one.currency: one.free_from_minor for one in prices},
    }
