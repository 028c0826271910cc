"""Make promotion codes, and take them out of use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.coupons import normalise_code
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Coupon, PromotionCode
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.coupons import attach_to_running
from storefront.operations.keys import reserve
from storefront.runtime import Runtime

#: Longest code that fits the table.
LONGEST = 40


class UnknownCoupon(DomainError):
    """There is no such coupon."""

    code = "unknown_coupon"


class CodeExists(DomainError):
    """Another coupon has this code, perhaps in another spelling; ``taken`` is how it is kept."""

    code = "code_exists"


class ImpossibleCoupon(DomainError):
    """What is asked of the coupon cannot be kept; ``reason`` says what."""

    code = "impossible_coupon"


class EmptyCode(DomainError):
    """Nothing is left of the code but spaces and signs, or it is too long."""

    code = "empty_code"


@dataclass(frozen=True, slots=True)
class CouponDraft:
    """A new coupon with its code, or without one: automatic, or with codes made later.

    ``amount`` goes with fixed and first_box_price, ``percent_bp`` with percent. An empty
    tuple or None means no limit; both days count as inside.
    """

    code: str
    name: str
    #: Hundredths of a percent: 1000 = 10 %.
    percent_bp: int = 0
    amount: Money | None = None
    #: once, cycles or forever.
    duration: str = "once"
    #: For ``cycles``: how many payments it lowers.
    cycles: int = 1
    plans: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    countries: tuple[str, ...] = ()
    first_time_only: bool = False
    starts_on: date | None = None
    ends_on: date | None = None
    max_uses: int | None = None
    max_per_customer: int | None = None
    #: percent, fixed, free_shipping, free_first_box, first_box_price; empty: by the amount.
    kind: str = ""
    #: box or fee; only percent and fixed may lower the fee.
    applies_to: str = "box"
    is_automatic: bool = False
    #: True: no code of its own, each shopper gets another one.
    has_unique_codes: bool = False
    priority: int = 100
    combines: bool = True
    #: The first billed period that it lowers.
    from_billed: int = 1

    @property
    def what(self) -> str:
        """The kind, also where it follows from the amount."""
        return self.kind or ("fixed" if self.amount else "percent")

    @property
    def limits(self) -> dict[str, list[str]]:
        """The limits as the table keeps them."""
        given = {
            "plans": list(self.plans),
            "intervals": [str(interval) for interval in self.intervals],
            "countries": list(self.countries),
        }
        return {name: values for name, values in given.items() if values}


def add_coupon(rt: Runtime, who: Who, draft: CouponDraft) -> str:
    """Add a coupon, with its code if it has one, and return its public id.

    An automatic one is on from now; one for loyal subscribers is put on all that run.
    Raises ``EmptyCode``, ``CodeExists`` or ``ImpossibleCoupon``.
    """
    has_code = not (draft.is_automatic or draft.has_unique_codes)
    code = normalise_code(draft.code) if has_code else ""
    if has_code and (not any(character.isalnum() for character in code) or len(code) > LONGEST):
        raise EmptyCode(longest=LONGEST)
    _check(draft)

    def write() -> str:
        codes, moment = table_of(PromotionCode), rt.moment()
        if (
            has_code
            and rt.session.execute(sa.select(codes.c.id).where(codes.c.code == code)).first()
        ):
            raise CodeExists(taken=code)
        key, public = reserve(rt.session, Coupon, 1)[0], public_id("cou")
        values = _values(draft)
        rt.session.execute(
            sa.insert(table_of(Coupon)).values(
                id=key, public_id=public, used=0, created_at=moment.now, **values
            )
        )
        if has_code:
            rt.session.execute(
                sa.insert(codes).values(
                    id=reserve(rt.session, PromotionCode, 1)[0],
                    coupon_id=key,
                    code=code,
                    created_at=moment.now,
                )
            )
        if draft.is_automatic and draft.from_billed > 1:
            attach_to_running(rt.session, key)
        after = {"code": code, **values}
        audit.write(rt.session, who.id, "coupon.added", public, {}, after, moment, who.ip)
        rt.session.commit()
        return public

    try:
        return retrying(rt.session, write)
    except sa.exc.IntegrityError as error:
        # Two people at once: the unique index is the last word.
        raise CodeExists(taken=code) from error


#: Kinds that are about the first box, so about the first payment and no later one.
_FIRST_BOX = ("free_first_box", "first_box_price")


def _check(draft: CouponDraft) -> None:
    """Refuse what contradicts itself, or what nobody could count."""
    kind = draft.what
    wrong = {
        "amount": (draft.amount is not None) != (kind in ("fixed", "first_box_price")),
        "percent": kind == "percent" and not 0 < draft.percent_bp <= 10_000,
        "fee": draft.applies_to == "fee" and kind not in ("percent", "fixed"),
        "once": (kind in _FIRST_BOX or draft.applies_to == "fee") and draft.duration != "once",
        "first": (kind in _FIRST_BOX or draft.applies_to == "fee") and draft.from_billed > 1,
        "name": draft.is_automatic and not draft.name,
        # Put on everybody who runs, whoever they are: there is no order to look at.
        "loyalty": draft.is_automatic
        and draft.from_billed > 1
        and (draft.first_time_only or draft.max_per_customer is not None),
        "billed": draft.from_billed < 1,
    }
    for reason, is_wrong in wrong.items():
        if is_wrong:
            raise ImpossibleCoupon(reason=reason)


def archive_coupon(rt: Runtime, who: Who, coupon: str) -> bool:
    """Accept a code no more; what it lowers already it goes on lowering. False if it is so."""
    return _archive(rt, who, coupon, archived=True)


def restore_coupon(rt: Runtime, who: Who, coupon: str) -> bool:
    """Accept an archived code again; False if it is accepted already."""
    return _archive(rt, who, coupon, archived=False)


def save_names(
    rt: Runtime, who: Who, coupon: str, translations: Mapping[str, Mapping[str, str]]
) -> bool:
    """Keep the name of a discount in other languages; False where nothing changed.

    Of one that is given without a code: nobody but staff reads the name of another. Raises
    ``UnknownCoupon``.
    """

    def write() -> bool:
        table = table_of(Coupon)
        row = rt.session.execute(
            sa.select(table.c.id, table.c.translations)
            .where(table.c.public_id == coupon, table.c.is_automatic)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise UnknownCoupon(coupon=coupon)
        before, after = {"translations": row.translations}, {"translations": dict(translations)}
        if before == after:
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**after))
        raise_version(rt.session)
        audit.write(rt.session, who.id, "coupon.named", coupon, before, after, rt.moment(), who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _archive(rt: Runtime, who: Who, coupon: str, *, archived: bool) -> bool:
    def write() -> bool:
        table, moment = table_of(Coupon), rt.moment()
        row = rt.session.execute(
            sa.select(table).where(table.c.public_id == coupon).with_for_update()
        ).one_or_none()
        if row is None:
            raise UnknownCoupon(coupon=coupon)
        if (row.archived_at is not None) == archived:
            rt.session.rollback()
            return False
        at = moment.now if archived else None
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(archived_at=at))
        if row.is_automatic and row.from_billed > 1 and not archived:
            # Who began while it was off.
            attach_to_running(rt.session, row.id)
        action = "coupon.archived" if archived else "coupon.restored"
        audit.write(rt.session, who.id, action, coupon, {}, {}, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _values(draft: CouponDraft) -> dict[str, Any]:
    fixed = draft.amount
    return {
        "name": draft.name,
        "kind": draft.what,
        "applies_to": draft.applies_to,
        "is_automatic": draft.is_automatic,
        "priority": draft.priority,
        "combines": draft.combines,
        "from_billed": draft.from_billed,
        "percent_bp": draft.percent_bp if draft.what == "percent" else 0,
        "amount_minor": fixed.minor if fixed else 0,
        "currency": fixed.currency if fixed else "",
        "duration": draft.duration,
        "duration_cycles": draft.cycles if draft.duration == "cycles" else 1,
        "limits": draft.limits,
        "first_time_only": draft.first_time_only,
        "starts_on": draft.starts_on,
        "ends_on": draft.ends_on,
        "max_uses": draft.max_uses,
        "max_per_customer": draft.max_per_customer,
    }
