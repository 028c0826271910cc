"""What an inquiry is called, on pages and in mails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from flask_babel import gettext as _

from storefront.merchant_texts import said
from storefront.queries.inquiries import About, InquiryRow


def topics() -> dict[str, str]:
    """Return what can be asked about, by code, in the order shown."""
    return {
        "box": _("A box: late, missing or damaged"),
        "payment": _("A payment or invoice"),
        "subscription": _("My subscription"),
        "account": _("My account"),
        "other": _("Something else"),
    }


def title(row: InquiryRow) -> str:
    """Return their own words for it, or else the topic."""
    return row.subject or topics().get(row.topic, row.topic)


def about_name(about: About, day: Callable[[date], str]) -> str:
    """Return what a conversation is about in words."""
    if about.kind == "box" and about.on is not None:
        return _("Box of %(day)s, %(plan)s", day=day(about.on), plan=said(about.name))
    if about.kind == "invoice":
        return _("Invoice %(number)s", number=about.name)
    return _("Subscription %(plan)s", plan=said(about.name))
