"""The shop's logo."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import ShopLogo
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class LogoFile:
    """A picture and what its address ends with."""

    png: bytes
    digest: str


def logo(session: AnySession) -> LogoFile | None:
    """Return the logo of now, None where the shop's name stands in its place."""
    table = table_of(ShopLogo)
    row = session.execute(sa.select(table.c.png, table.c.digest)).one_or_none()
    return None if row is None else LogoFile(bytes(row.png), row.digest)
