"""Change what a shop itself knows of a product; the rest comes with imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.declarations import Exclusion
from storefront.domain.errors import DomainError
from storefront.models import Product
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime


class ProductNotFound(DomainError):
    """There is no such product."""

    code = "product_not_found"


def save_product(
    rt: Runtime,
    product_ref: str,
    allergens: Sequence[str],
    picture: str,
    who: Who | None = None,
    translations: Mapping[str, Mapping[str, Any]] | None = None,
    no_withdrawal: str = "",
) -> None:
    """Set a product's allergens and the silhouette of its picture (empty: by its code).

    ``translations`` are its names and allergens by language; without them they stay.
    ``no_withdrawal`` is why nobody may withdraw from it, empty where they may. Raises
    ``ProductNotFound``, and ``ValueError`` for a reason that the law does not know.
    """
    table, reason = table_of(Product), Exclusion(no_withdrawal) if no_withdrawal else ""
    row = rt.session.execute(
        sa.select(
            table.c.id,
            table.c.allergens,
            table.c.picture,
            table.c.translations,
            table.c.no_withdrawal,
        ).where(table.c.public_id == product_ref)
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise ProductNotFound(product=product_ref)
    before = {
        "allergens": row.allergens,
        "picture": row.picture,
        "translations": row.translations,
        "no_withdrawal": row.no_withdrawal,
    }
    after = {
        "allergens": list(allergens),
        "picture": picture,
        "translations": row.translations if translations is None else dict(translations),
        "no_withdrawal": str(reason),
    }
    if before == after:
        rt.session.rollback()
        return
    rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**after))
    raise_version(rt.session)
    if who is not None:
        audit.write(
            rt.session, who.id, "product.saved", product_ref, before, after, rt.moment(), who.ip
        )
    rt.session.commit()
