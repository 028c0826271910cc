"""What every page has to know of the pages and questions that a merchant wrote.

It stands in the one row of settings, which each request reads anyway: links in head and foot cost
no statement, and a shop without questions asks for none.
"""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.content import link_of
from storefront.models import ContentPage, FaqEntry, Plan, ShopSettings
from storefront.models.base import table_of
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnySession


def tell_content(session: AnySession) -> None:
    """Write what pages have to know into the settings, after every change of a page or question.

    Under the lock of the catalogue, whose version it raises.
    """
    write_content(session)
    raise_version(session)


def write_content(session: AnySession) -> None:
    """Write the links of all public pages, and whether there are questions, into the settings.

    With them whether a code opens any plan, so also after a change of those.
    """
    page, entry = table_of(ContentPage), table_of(FaqEntry)
    linked = (
        sa.select(page.c.slug, page.c.place, page.c.texts)
        .where(page.c.is_public, page.c.place != "nowhere")
        .order_by(page.c.position, page.c.id)
    )
    links = [link_of(row.slug, row.place, row.texts) for row in session.execute(linked)]
    has_faq = bool(session.scalar(sa.select(sa.exists().where(entry.c.is_public))))
    plan = table_of(Plan)
    has_code = sa.and_(plan.c.access_code.is_not(None), sa.not_(plan.c.is_public))
    codes = sa.exists().where(has_code, plan.c.archived_at.is_(None))
    told = {"links": links, "has_faq": has_faq, "has_codes": bool(session.scalar(sa.select(codes)))}
    session.execute(sa.update(table_of(ShopSettings)).values(content=told))
