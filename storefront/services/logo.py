"""The shop's logo: put up and taken down.

Source: docs/decisions/0231-a-logo-of-the-shop.md.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.logo import Logo
from storefront.models import ShopLogo, ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import lock_catalogue, raise_version
from storefront.runtime import Runtime


def put_up(rt: Runtime, who: Who, logo: Logo) -> None:
    """Show ``logo`` in the head of every page from now on."""
    _change(rt, who, logo)


def take_down(rt: Runtime, who: Who) -> bool:
    """Show the shop's name again; False where there is no logo."""
    return _change(rt, who, None)


def _change(rt: Runtime, who: Who, logo: Logo | None) -> bool:
    shop, table = table_of(ShopSettings), table_of(ShopLogo)

    def write() -> bool:
        lock_catalogue(rt.session)
        before: dict[str, Any] = rt.session.scalar(sa.select(shop.c.logo)) or {}
        after = logo.link if logo is not None else {}
        if before == after:
            rt.session.rollback()
            return False
        rt.session.execute(sa.delete(table))
        if logo is not None:
            row = {"id": 1, "digest": logo.digest, "png": logo.png, "created_at": rt.now()}
            rt.session.execute(sa.insert(table).values(**row))
        rt.session.execute(sa.update(shop).values(logo=after))
        raise_version(rt.session)
        code = "logo.saved" if logo is not None else "logo.removed"
        audit.write(
            rt.session, who.id, code, SHOP, _told(before), _told(after), rt.moment(), who.ip
        )
        rt.session.commit()
        return True

    done = retrying(rt.session, write)
    rt.forget_shop()
    return done


def _told(link: dict[str, Any]) -> dict[str, Any]:
    return {"size": f"{link['width']} × {link['height']}"} if link else {}
