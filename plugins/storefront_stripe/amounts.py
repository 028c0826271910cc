"""Our minor units to Stripe's and back, and what Stripe charges at least.

Source: https://docs.stripe.com/currencies (zero-decimal, three-decimal and special currencies;
minimum charge amounts), read November 2026.
"""

from __future__ import annotations

from storefront.domain.money import exponent
from storefront.hooks import Money

#: Where Stripe counts with other decimals than ISO 4217 does.
_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
#: Stripe takes sums with three decimals only if the last one is zero.
_LAST_IS_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
#: The largest whole number Stripe takes for most currencies.
MOST = 99_999_999

#: Smallest charge in our minor units. Stripe means the currency of the merchant's account; the
#: same sums hold here for what is charged, which is the same for a shop that sells at home.
MINIMUMS = {
    "AED": 200,
    "AUD": 50,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 1500,
    "DKK": 250,
    "EUR": 50,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17500,
    "INR": 50,
    "JPY": 50,
    "MXN": 1000,
    "MYR": 200,
    "NOK": 300,
    "NZD": 50,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "SGD": 50,
    "THB": 1000,
    "USD": 50,
}


def to_stripe(amount: Money) -> int:
    """Return what Stripe calls the amount. Raises ``ValueError`` if it has no such amount.

    Exact: nothing is rounded.

    >>> to_stripe(Money(2340, "EUR")), to_stripe(Money(1200, "JPY")), to_stripe(Money(500, "ISK"))
    (2340, 1200, 50000)
    """
    ours, theirs = exponent(amount.currency), _decimals(amount.currency)
    minor, rest = divmod(amount.minor * 10**theirs, 10**ours)
    if rest or (amount.currency in _LAST_IS_ZERO and minor % 10) or not 0 < minor <= MOST:
        raise ValueError(f"{amount} is no amount that Stripe takes")
    return minor


def from_stripe(minor: int, currency: str) -> Money:
    """Return an amount of Stripe's as money, exactly. Raises ``ValueError`` if it cannot be.

    >>> from_stripe(50000, "isk")
    Money(minor=500, currency='ISK')
    """
    code = currency.upper()
    ours, theirs = exponent(code), _decimals(code)
    whole, rest = divmod(minor * 10**ours, 10**theirs)
    if rest:
        raise ValueError(f"{minor} {currency} has more decimals than the currency")
    return Money(whole, code)


def _decimals(currency: str) -> int:
    return _DECIMALS.get(currency, exponent(currency))
