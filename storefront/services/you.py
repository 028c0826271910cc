"""What customers say of themselves: name and language, and the address that signs them in.

A new address is proved by a code that is mailed to it, and the person before that by password
or by a code that is mailed to the present one: neither an open browser nor a mistyped address
takes an account away. An address that has an account already is answered like any other.
Source: docs/decisions/0216-sign-ins-that-are-listed.md.
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import Customer, LoginLink, LoginSession
from storefront.models.base import table_of
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import hash_code, hash_secret, new_nonce, one_time
from storefront.runtime import Runtime

#: What the code of a new address is for, and how long it works.
NEW_EMAIL, LASTS = "new_email", timedelta(minutes=10)


class EmailTaken(DomainError):
    """Another account got this address meanwhile."""

    code = "email_taken"


def save_profile(rt: Runtime, customer_id: int, *, name: str, locale: str) -> None:
    """Keep name and language; ``locale`` is empty for the shop's own language."""
    table = table_of(Customer)

    def write() -> None:
        rt.session.execute(
            sa.update(table).where(table.c.id == customer_id).values(name=name, locale=locale)
        )
        rt.session.commit()

    retrying(rt.session, write)


def new_email_code(code: str, email: str) -> str:
    """Return what is hashed of a code for a new address: it proves that one and no other."""
    return f"{code}:{email}"


def ask_for_email(rt: Runtime, customer_id: int, email: str) -> None:
    """Mail a code to an address that a customer wants to use.

    An address that has an account gets a mail without one, so that nobody learns of it here.
    """
    now, nonce, key = rt.now(), new_nonce(), rt.settings.secret_key
    secret = one_time(key, nonce)
    table = table_of(Customer)

    def write() -> None:
        locale = rt.session.scalar(sa.select(table.c.locale).where(table.c.id == customer_id))
        known = sa.select(table.c.id).where(table.c.email == email)
        is_taken = rt.session.execute(known).first() is not None
        payload = {"to": email, "locale": locale or "", "nonce": nonce, "is_taken": is_taken}
        message = Message("mail", "new_email", f"mail:new_email:{nonce}", payload, customer_id)
        enqueue(rt.session, [message], now)
        # The same row for both; of an address that is taken nobody is told the code.
        rt.session.execute(
            sa.insert(LoginLink).values(
                customer_id=customer_id,
                purpose=NEW_EMAIL,
                token_hash=hash_secret(secret.token),
                code_hash=hash_code(key, new_email_code(secret.code, email)),
                created_at=now,
                expires_at=now + LASTS,
                tries=0,
            )
        )
        rt.session.commit()

    retrying(rt.session, write)


def change_email(rt: Runtime, customer_id: int, email: str, *, keep: int | None) -> None:
    """Sign the customer in with ``email`` from now on, whose code was just taken.

    All other sessions end, and codes and links that wait; the earlier address is told.
    Raises ``EmailTaken``.
    """
    table, links, sessions = table_of(Customer), table_of(LoginLink), table_of(LoginSession)
    now = rt.now()

    def write() -> None:
        old = rt.session.execute(
            sa.select(table.c.email, table.c.locale)
            .where(table.c.id == customer_id)
            .with_for_update()
        ).one()
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == customer_id)
            .values(email=email, email_verified_at=now)
        )
        rt.session.execute(sa.delete(links).where(links.c.customer_id == customer_id))
        others = sa.and_(sessions.c.customer_id == customer_id, sessions.c.revoked_at.is_(None))
        if keep is not None:
            others = sa.and_(others, sessions.c.id != keep)
        rt.session.execute(sa.update(sessions).where(others).values(revoked_at=now))
        payload = {"to": old.email, "locale": old.locale}
        key = f"mail:email_changed:{new_nonce()}"
        message = Message("mail", "email_changed", key, payload, customer_id)
        enqueue(rt.session, [message], now)
        rt.session.commit()

    try:
        retrying(rt.session, write)
    except sa.exc.IntegrityError as error:
        rt.session.rollback()
        raise EmailTaken from error
