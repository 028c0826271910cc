"""Notices of the account: what was mailed and matters, and what the merchant announces."""

from __future__ import annotations

from flask import Response, abort, g, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.notice_words import notice_text, notice_url
from storefront.blueprints.context import customer, runtime
from storefront.domain.account_notices import wording
from storefront.htmx import go
from storefront.queries import account_notices as query
from storefront.queries.account_notices import Banner, News
from storefront.services import account_notices as service
from storefront.templating import locale_code


def news() -> News:
    """Return what is unread and announced; read once for a page."""
    if "account_news" not in g:
        rt = runtime()
        g.account_news = query.news(rt.session, customer().id, rt.moment())
    found: News = g.account_news
    return found


def banner_words(banner: Banner) -> tuple[str, str]:
    """Return title and text of an announcement as this reader gets them."""
    return wording(banner.texts, locale_code(), runtime().shop.locale)


def menu_counts() -> dict[str, tuple[int, str]]:
    """Return what stands beside an entry of the menu: a number, and what it counts."""
    many = news().unread
    text = ngettext("%(num)s unread", "%(num)s unread", many)
    return {url_for("account.notices"): (many, text)} if many else {}


bp.context_processor(
    lambda: {
        "account_news": news,
        "menu_counts": menu_counts,
        "banner_words": banner_words,
        "notice_text": notice_text,
        "notice_url": notice_url,
    }
)


@bp.get("/notices")
def notices() -> Response:
    """List them, the newest first."""
    rt = runtime()
    return page("notices", found=query.notices(rt.session, customer().id, rt.moment()))


@bp.post("/notices/<notice>/read")
def read_notice(notice: str) -> Response:
    """Mark one as read."""
    return _read(notice, _("Marked as read."))


@bp.post("/notices/<notice>/read-all")
def read_notices(notice: str) -> Response:
    """Mark it and what came before as read: what came after the page was made was not seen."""
    return _read(notice, _("All marked as read."), all_before=True)


@bp.post("/announcements/<announcement>/dismiss")
def dismiss(announcement: str) -> Response:
    """Put an announcement away."""
    try:
        service.dismiss(runtime(), customer().id, announcement)
    except service.NoticeNotFound:
        abort(404)
    return go(url_for("account.home"))


def _read(notice: str, text: str, *, all_before: bool = False) -> Response:
    try:
        service.mark_read(runtime(), customer().id, notice, all_before=all_before)
    except service.NoticeNotFound:
        abort(404)
    to = "account.home" if request.form.get("from") == "home" else "account.notices"
    return go(url_for(to), text)
