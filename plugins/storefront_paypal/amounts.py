"""Amounts as PayPal writes them: decimal strings, never floats."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from storefront.domain.money import Money, exponent


def amount_of(money: Money) -> dict[str, str]:
    """Return an amount for PayPal.

    >>> amount_of(Money(2340, "EUR")), amount_of(Money(1200, "JPY"))
    ({'currency_code': 'EUR', 'value': '23.40'}, {'currency_code': 'JPY', 'value': '1200'})
    """
    value = Decimal(money.minor).scaleb(-exponent(money.currency))
    return {"currency_code": money.currency, "value": f"{value:f}"}


def money_of(given: Mapping[str, Any]) -> Money:
    """Return an amount of PayPal's; raises ``ValueError`` for what is none.

    >>> money_of({"currency_code": "EUR", "value": "-23.4"})
    Money(minor=-2340, currency='EUR')
    """
    currency = str(given.get("currency_code", ""))
    try:
        minor = Decimal(str(given.get("value"))).scaleb(exponent(currency))
    except ArithmeticError as error:
        raise ValueError(f"{given!r} is no amount") from error
    if minor != minor.to_integral_value():
        raise ValueError(f"{given!r} is no whole amount")
    return Money(int(minor), currency)
