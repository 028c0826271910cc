"""Products that nobody may withdraw from."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.models import Product
from storefront.runtime import Runtime
from storefront.testing import factories as make


def mark_products(rt: Runtime, *reasons: str, archived: str = "") -> None:
    """Make a product for each reason (empty: none), and one for ``archived`` that is not sold."""
    for reason in (*reasons, archived):
        product = make.make_variant(rt).product_id
        values = {"no_withdrawal": reason}
        if archived and reason == archived:
            values |= {"archived_at": rt.now()}
        rt.session.execute(sa.update(Product).where(Product.id == product).values(**values))
    rt.session.commit()
