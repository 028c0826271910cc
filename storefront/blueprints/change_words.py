"""A change of plan or price in a subscription's history, for its customer and for staff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from babel.dates import format_date
from flask_babel import gettext as _

from storefront import formats
from storefront.domain.money import Money
from storefront.merchant_texts import said
from storefront.templating import writing_locale


def changed(data: Mapping[str, Any], currency: str) -> str:
    """Return what an event keeps of a change, a sentence; empty where it keeps nothing."""
    if data.get("withdrawn"):
        return _("The change was taken back.")
    if "to" in data and "on" in data:
        plan = said(data["to"])
        return _("A change to %(plan)s was planned for %(day)s.", plan=plan, day=_day(data))
    if "price" in data and "on" in data:
        amount, day = _sum(data["price"], currency), _day(data)
        return _("A new price was announced: %(amount)s from %(day)s on.", amount=amount, day=day)
    if "plan" not in data:
        return ""
    plan = said(data["plan"])
    if data.get("amount_minor"):
        amount = _sum(data["amount_minor"], currency)
        return _("Changed to %(plan)s. %(amount)s paid.", plan=plan, amount=amount)
    return _("Changed to %(plan)s.", plan=plan)


def _sum(minor: int, currency: str) -> str:
    return formats.money(Money(minor, currency), writing_locale())


def _day(data: Mapping[str, Any]) -> str:
    return format_date(date.fromisoformat(data["on"]), "long", locale=writing_locale())
