"""How the shop looks: saved, and brought back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.look import Look, look_of
from storefront.models import ShopLook, ShopSettings
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime

#: As many looks are kept.
KEPT = 20


class NoSuchLook(DomainError):
    """It was never the shop's, or too long ago to be kept."""

    code = "no_such_look"


@dataclass(frozen=True, slots=True)
class PastLook:
    """A look the shop had, and since when."""

    ref: str
    look: Look
    since_at: datetime


def save_look(rt: Runtime, who: Who, look: Look) -> bool:
    """Give every page and mail ``look`` from now on; False if it has it already.

    The look before stays to be brought back.
    """

    def write() -> bool:
        shop, table = table_of(ShopSettings), table_of(ShopLook)
        row = rt.session.execute(sa.select(shop).with_for_update()).one()
        before = look_of(row._asdict())
        if look == before:
            rt.session.rollback()
            return False
        now = rt.now()
        newest = rt.session.execute(
            sa.select(table.c.look).order_by(table.c.id.desc()).limit(1)
        ).scalar()
        kept = [] if newest is not None and look_of(newest) == before else [before]
        for one in (*kept, look):
            values = {"public_id": public_id("look"), "look": one.values(), "since_at": now}
            rt.session.execute(sa.insert(table).values(**values))
        _forget_old(rt)
        rt.session.execute(sa.update(shop).values(**look.values()))
        raise_version(rt.session)
        old, new = before.values(), look.values()
        changed = [name for name in new if old[name] != new[name]]
        audit.write(
            rt.session,
            who.id,
            "settings.changed",
            SHOP,
            {name: old[name] for name in changed},
            {name: new[name] for name in changed},
            rt.moment(),
            who.ip,
        )
        rt.session.commit()
        return True

    saved = retrying(rt.session, write)
    rt.forget_shop()
    return saved


def bring_back(rt: Runtime, who: Who, ref: str) -> bool:
    """Give the shop a look it had again; False if it has it already. Raises ``NoSuchLook``."""
    table = table_of(ShopLook)
    values = rt.session.execute(sa.select(table.c.look).where(table.c.public_id == ref)).scalar()
    rt.session.rollback()
    if values is None:
        raise NoSuchLook
    return save_look(rt, who, look_of(values))


def past_looks(rt: Runtime) -> list[PastLook]:
    """Return the looks that can be brought back, the latest first; the present one is not among.

    One that came twice stands there once.
    """
    table = table_of(ShopLook)
    rows = rt.session.execute(
        sa.select(table.c.public_id, table.c.look, table.c.since_at)
        .order_by(table.c.id.desc())
        .limit(KEPT)
    ).all()
    found: dict[Look, PastLook] = {}
    for row in rows:
        look = look_of(row.look)
        found.setdefault(look, PastLook(row.public_id, look, row.since_at))
    found.pop(rt.shop.look, None)
    return list(found.values())


def _forget_old(rt: Runtime) -> None:
    table = table_of(ShopLook)
    keys = sa.select(table.c.id).order_by(table.c.id.desc()).offset(KEPT).limit(1)
    last = rt.session.execute(keys).scalar()
    if last is not None:
        rt.session.execute(sa.delete(table).where(table.c.id <= last))
