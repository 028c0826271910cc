"""Recommend the shop to a friend; both are credited once the friend has paid for a box."""

from __future__ import annotations

import secrets
from functools import partial

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.coupons import normalise_code
from storefront.domain.unique_codes import ALPHABET
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations.referrals import due_referrals, grant_referral
from storefront.runtime import Runtime

#: Characters of a friend's code: 22^8 of them, none to be guessed.
LENGTH = 8
#: Referrals credited in one run.
AT_ONCE = 500


def code_for(rt: Runtime, customer_id: int) -> str:
    """Return the code a customer recommends with, made the first time."""

    def write() -> str:
        table = table_of(Customer)
        made = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == customer_id, table.c.referral_code.is_(None))
            .values(referral_code=made)
        )
        code = rt.session.execute(
            sa.select(table.c.referral_code).where(table.c.id == customer_id)
        ).scalar_one()
        rt.session.commit()
        return str(code)

    return retrying(rt.session, write)


def giver_of(rt: Runtime, typed: str) -> int | None:
    """Return the key of the customer whose code this is; None also while it is off."""
    code = normalise_code(typed[:40])
    if not code or not rt.shop.gives_referrals:
        return None
    with reading():
        table = table_of(Customer)
        key: int | None = rt.session.scalar(
            sa.select(table.c.id).where(table.c.referral_code == code)
        )
        rt.session.rollback()
    return key


def grant_referrals(rt: Runtime) -> dict[str, int]:
    """Credit both of every referral whose friend has paid; each once, whoever else runs this."""
    with reading():
        keys = list(due_referrals(rt.session, AT_ONCE))
        rt.session.rollback()
    return {"granted": sum(retrying(rt.session, partial(_grant, rt, key)) for key in keys)}


def _grant(rt: Runtime, key: int) -> bool:
    granted = grant_referral(rt.session, key, rt.moment())
    rt.session.commit()
    return granted
