"""How our references fit into Authorize.net's fields of 20 characters, and back."""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal

from storefront.domain.money import Money, exponent

#: Longest invoice number, reference id and merchant customer id that Authorize.net keeps.
LENGTH = 20
_MARK = "S"


def short(reference: str) -> str:
    """Return the 20 characters that stand for ``reference`` at Authorize.net.

    Always the same for the same reference, 95 bits of its SHA-256: nothing has to be stored to
    find a charge again. The whole reference stands in the description beside it, so the way
    back needs no table either (``whole``).

    >>> short("att_7f3k"), len(short("att_7f3k"))
    ('S5ECUP4KHEOTNRNSEOUQ', 20)
    """
    digest = hashlib.sha256(reference.encode()).digest()
    return (_MARK + base64.b32encode(digest).decode())[:LENGTH]


def is_ours(number: str) -> bool:
    """Say whether an invoice number may be one of ``short``; other programs use the account too."""
    return len(number) == LENGTH and number.startswith(_MARK)


def whole(number: str, description: str) -> str:
    """Return our reference from a transaction's invoice number and description, or nothing.

    >>> whole(short("att_7f3k"), "att_7f3k inv_1")
    'att_7f3k'
    >>> whole("12345", "att_7f3k inv_1")
    ''
    """
    reference = description.partition(" ")[0]
    return reference if reference and short(reference) == number else ""


def decimal_string(money: Money) -> str:
    """Return an amount as Authorize.net writes it.

    >>> decimal_string(Money(2340, "USD")), decimal_string(Money(5, "USD"))
    ('23.40', '0.05')
    """
    return f"{Decimal(money.minor).scaleb(-exponent(money.currency)):f}"


def money_of(amount: object, currency: str) -> Money:
    """Return an amount of an answer; raises ``ValueError`` for what is no amount in ``currency``.

    >>> money_of("23.4", "USD")
    Money(minor=2340, currency='USD')
    """
    try:
        minor = Decimal(str(amount)).scaleb(exponent(currency))
    except ArithmeticError as error:
        raise ValueError(f"{amount!r} is no amount") from error
    if minor != minor.to_integral_value():
        raise ValueError(f"{amount!r} is no whole amount of {currency}")
    return Money(int(minor), currency)
