"""Ways of paying and stored methods, in words a shopper knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from flask_babel import gettext as _

from storefront.domain.gateways import Gateway


class Named(Protocol):
    """What the name of a stored method is made of."""

    @property
    def kind(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def last4(self) -> str: ...
    @property
    def label(self) -> str: ...


def kind_word(kind: str) -> str:
    """Return what a kind of method is called."""
    known = {
        "card": _("Card"),
        "paypal": "PayPal",
        "upi": "UPI",
        "bank": _("Bank account"),
        "wallet": _("Wallet"),
    }
    return known.get(kind, kind.replace("_", " ").capitalize())


def ways_to_pay(gateways: Mapping[str, Gateway], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name of the gateway, what a shopper calls it), in the order of ``names``.

    Two gateways that store the same kinds are told apart by their names.
    """
    ways = [(name, _kinds(gateways[name].capabilities.kinds)) for name in names]
    often = Counter(word for _name, word in ways)
    return [(name, word if often[word] == 1 else f"{word} ({brand(name)})") for name, word in ways]


def _kinds(kinds: Sequence[str]) -> str:
    words = [kind_word(kind) for kind in kinds]
    if len(words) < 2:
        return "".join(words)
    return _("%(some)s or %(last)s", some=", ".join(words[:-1]), last=words[-1])


def brand(gateway: str) -> str:
    """Return the name of a gateway as people write it."""
    known = {"authorize_net": "Authorize.net", "paypal": "PayPal"}
    return known.get(gateway, gateway.replace("_", " ").title())


def method_name(method: Named) -> str:
    """Return what a customer knows a stored method by."""
    if method.last4:
        return _("%(brand)s ending %(last4)s", brand=method.brand.title(), last4=method.last4)
    word = kind_word(method.kind)
    return f"{word} ({method.label})" if method.label else word
