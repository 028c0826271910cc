"""The version of what is sold; it keys every cached page that shows plans, prices or the shop."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def raise_version(session: AnySession) -> None:
    """Make every page that was kept be made anew, from the caller's commit on."""
    table = table_of(ShopSettings)
    session.execute(sa.update(table).values(catalogue_version=table.c.catalogue_version + 1))
