"""Keys of the merchant's programs: made once, shown once, taken back at any time.

Source: docs/decisions/0177-tracking-by-program.md.
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.models import ApiToken
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.secrets import hash_secret, new_secret
from storefront.runtime import Runtime

#: The one scope there is: saying where parcels are.
TRACKING = "tracking"
#: So that a key that was published by mistake is found by who looks for such.
PREFIX = "sft_"
MOST_NAME, MOST_TOKENS = 60, 20
_TO_THE = timedelta(minutes=1)


class BadTokenName(DomainError):
    """A key needs a name of at most 60 characters, and there are at most 20 keys in use."""

    code = "bad_token_name"


def make_token(rt: Runtime, who: Who, name: str) -> str:
    """Return a new key; nobody can read it again. Raises ``BadTokenName``."""
    if not name or len(name) > MOST_NAME:
        raise BadTokenName(most=MOST_TOKENS)
    secret = PREFIX + new_secret()

    def write() -> None:
        table, ref = table_of(ApiToken), public_id("tok")
        in_use = sa.select(sa.func.count()).where(table.c.revoked_at.is_(None))
        if (rt.session.scalar(in_use) or 0) >= MOST_TOKENS:
            rt.session.rollback()
            raise BadTokenName(most=MOST_TOKENS)
        rt.session.execute(
            sa.insert(table).values(
                public_id=ref,
                name=name,
                scope=TRACKING,
                token_hash=hash_secret(secret),
                staff_id=who.id,
                created_at=rt.now(),
            )
        )
        after = {"name": name, "scope": TRACKING}
        audit.write(rt.session, who.id, "api_token.made", ref, {}, after, rt.moment(), who.ip)
        rt.session.commit()

    retrying(rt.session, write)
    return secret


def revoke_token(rt: Runtime, who: Who, ref: str) -> bool:
    """Take a key back; False when there is none that works."""

    def write() -> bool:
        table = table_of(ApiToken)
        names = rt.session.scalars(
            sa.update(table)
            .where(table.c.public_id == ref, table.c.revoked_at.is_(None))
            .values(revoked_at=rt.now())
            .returning(table.c.name)
        ).all()
        if names:
            before = {"name": names[0]}
            moment = rt.moment()
            audit.write(rt.session, who.id, "api_token.revoked", ref, before, {}, moment, who.ip)
        rt.session.commit()
        return bool(names)

    return retrying(rt.session, write)


def find_token(rt: Runtime, secret: str, scope: str) -> str | None:
    """Return the public id of the key that ``secret`` is, if it works for ``scope``."""
    if not secret.startswith(PREFIX):
        return None
    table = table_of(ApiToken)
    with reading():
        row = rt.session.execute(
            sa.select(table.c.id, table.c.public_id, table.c.used_at).where(
                table.c.token_hash == hash_secret(secret),
                table.c.scope == scope,
                table.c.revoked_at.is_(None),
            )
        ).one_or_none()
        rt.session.rollback()
    if row is None:
        return None
    now = rt.now()

    def note() -> None:
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(used_at=now))
        rt.session.commit()

    if row.used_at is None or now - row.used_at >= _TO_THE:
        retrying(rt.session, note)
    ref: str = row.public_id
    return ref
