"""Make the unique codes of a campaign, many at once, and take a batch of them out of use."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.coupons import normalise_code
from storefront.domain.errors import DomainError
from storefront.domain.unique_codes import GROUP, GROUPS, unique_code
from storefront.models import Coupon, PromotionCode
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime

#: Codes in one batch at most, and how many are written at once.
MOST = 100_000
AT_ONCE = 5_000
#: Longest prefix: what the table holds, less the groups and their dashes.
LONGEST_PREFIX = 40 - GROUPS * (GROUP + 1)


class UnknownBatch(DomainError):
    """There is no such coupon, or it has no batch of this name."""

    code = "unknown_batch"


class BadBatch(DomainError):
    """A batch has a name, 1 to 100,000 codes and a prefix of letters and digits that fits."""

    code = "bad_batch"


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """``count`` codes, each good for one order, that begin with ``prefix`` (may be empty)."""

    name: str
    count: int
    prefix: str = ""


def make_codes(
    rt: Runtime,
    who: Who | None,
    coupon: str,
    draft: BatchDraft,
    report: Callable[[int, int], None] | None = None,
) -> int:
    """Make the codes of a batch up to its count and return how many were new.

    Written a few thousand at a time; run again after a fault it makes what is missing.
    ``who`` is None on the command line, whose runs are not in the log of staff. Raises
    ``BadBatch`` or ``UnknownBatch``.
    """
    prefix, name = normalise_code(draft.prefix), draft.name.strip()
    fits = len(prefix) <= LONGEST_PREFIX and (not prefix or prefix[0].isalnum())
    if not (name and len(name) <= 40 and 0 < draft.count <= MOST and fits):
        raise BadBatch(most=MOST, longest=LONGEST_PREFIX)
    key = _coupon(rt, coupon).id
    made = 0
    have = _count(rt, key, name)
    while have < draft.count:
        size = min(AT_ONCE, draft.count - have)
        first = who if have + size >= draft.count else None
        retrying(rt.session, partial(_write, rt, first, coupon, key, name, prefix, size, draft))
        before, have = have, _count(rt, key, name)
        made += have - before
        if report is not None:
            report(have, draft.count)
    return made


def switch_batch(rt: Runtime, who: Who, coupon: str, batch: str, *, on: bool) -> int:
    """Accept the codes of a batch no more, or again; returns how many that changed.

    Who has used one keeps what it lowers. Raises ``UnknownBatch``.
    """

    def write() -> int:
        row, moment = _coupon(rt, coupon), rt.moment()
        table = table_of(PromotionCode)
        mine = sa.and_(table.c.coupon_id == row.id, table.c.batch == batch)
        if not batch or not rt.session.scalar(sa.select(sa.exists().where(mine))):
            raise UnknownBatch(coupon=coupon, batch=batch)
        was = table.c.archived_at.is_not(None) if on else table.c.archived_at.is_(None)
        at = None if on else moment.now
        changed = rt.session.execute(
            sa.update(table).where(mine, was).values(archived_at=at).returning(table.c.id)
        ).all()
        if changed:
            action = "coupon.batch_on" if on else "coupon.batch_off"
            after = {"batch": batch, "codes": len(changed)}
            audit.write(rt.session, who.id, action, coupon, {}, after, moment, who.ip)
        rt.session.commit()
        return len(changed)

    return retrying(rt.session, write)


def _coupon(rt: Runtime, coupon: str) -> AnyRow:
    table = table_of(Coupon)
    row = rt.session.execute(
        sa.select(table.c.id, table.c.is_automatic).where(table.c.public_id == coupon)
    ).one_or_none()
    if row is None or row.is_automatic:
        rt.session.rollback()
        raise UnknownBatch(coupon=coupon)
    return row


def _count(rt: Runtime, coupon_id: int, name: str) -> int:
    table = table_of(PromotionCode)
    count = rt.session.scalar(
        sa.select(sa.func.count()).where(table.c.coupon_id == coupon_id, table.c.batch == name)
    )
    rt.session.rollback()
    return int(count or 0)


def _write(
    rt: Runtime,
    who: Who | None,
    coupon: str,
    coupon_id: int,
    name: str,
    prefix: str,
    size: int,
    draft: BatchDraft,
) -> None:
    moment = rt.moment()
    rows = [
        {
            "coupon_id": coupon_id,
            "code": unique_code(prefix, secrets.choice),
            "batch": name,
            "max_uses": 1,
            "used": 0,
            "created_at": moment.now,
            "archived_at": None,
        }
        for _ in range(size)
    ]
    # The same code twice is left out, and the next round makes another.
    insert_many(rt.session, PromotionCode, rows, once_per="code")
    if who is not None:
        after = {"batch": name, "codes": draft.count}
        audit.write(rt.session, who.id, "coupon.codes_made", coupon, {}, after, moment, who.ip)
    rt.session.commit()
