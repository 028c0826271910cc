"""Set a new shop up: the one settings row, the number series. Everything else is in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.money import exponent
from storefront.models import NumberSeries, ShopSettings
from storefront.models.base import table_of
from storefront.operations.invoices import CREDIT_NOTES, INVOICES
from storefront.runtime import Runtime


class AlreadySetUp(DomainError):
    """The shop has its settings; they are changed in the admin."""

    code = "already_set_up"


class BadSetting(DomainError):
    """``params["name"]`` is the setting that cannot be meant, ``params["value"]`` what it was."""

    code = "bad_setting"


def set_up(rt: Runtime, values: Mapping[str, str]) -> None:
    """Write the settings of a new shop and its number series.

    ``values``: name, support_email, seller_name, seller_address, seller_country, zone,
    currency, locale. Raises ``BadSetting`` for a zone, currency or country there is not,
    and ``AlreadySetUp``.
    """
    _check(values)

    def write() -> None:
        table = table_of(ShopSettings)
        if rt.session.scalar(sa.select(sa.func.count()).select_from(table)):
            raise AlreadySetUp
        country = values["seller_country"].upper()
        rt.session.execute(
            sa.insert(table).values(
                **{**values, "seller_country": country, "currency": values["currency"].upper()},
                id=1,
                countries=[country],
            )
        )
        series = [
            {"code": INVOICES, "prefix": "", "next_number": 1},
            {"code": CREDIT_NOTES, "prefix": "CN-", "next_number": 1},
        ]
        rt.session.execute(sa.insert(table_of(NumberSeries)), series)
        rt.session.commit()

    retrying(rt.session, write)
    rt.forget_shop()


def _check(values: Mapping[str, str]) -> None:
    try:
        ZoneInfo(values["zone"])
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadSetting(name="zone", value=values["zone"]) from error
    try:
        exponent(values["currency"].upper())
    except ValueError as error:
        raise BadSetting(name="currency", value=values["currency"]) from error
    country = values["seller_country"]
    if len(country) != 2 or not country.isalpha():
        raise BadSetting(name="seller_country", value=country)
    if values["locale"] not in {"en", "de", "fr"}:
        raise BadSetting(name="locale", value=values["locale"])
