"""How many declined cards are let through before somebody has to take a break.

Who tries out stolen cards is declined again and again; who mistypes is declined a few times.
Only what was declined is counted, never what was paid.
Source: docs/decisions/0247-declined-cards-are-counted.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

#: Declined cards count for so long.
WINDOW = timedelta(hours=1)
#: Who tried which card is kept for so long: someone may come back late from a gateway's page.
KEPT = timedelta(days=7)
#: What a merchant may set: nobody is stopped by three declined cards.
PERSON_RANGE, ADDRESS_RANGE, ALARM_RANGE = (4, 50), (4, 1000), (5, 10_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """Declined cards within ``WINDOW``: of one person, and from one network address."""

    person: int
    address: int


@dataclass(frozen=True, slots=True)
class Asker:
    """Who tries a card: a customer or an order, and the address it comes from, if known."""

    person: str
    address: str = ""

    @classmethod
    def of(cls, customer_id: int | None, order: str = "", address: str = "") -> Asker:
        """Return a customer who is signed in, else whoever fills in an order.

        An e-mail is nobody: with that of somebody else a stranger could use up their tries.
        """
        return cls(f"order {order}" if customer_id is None else f"customer {customer_id}", address)

    def hashed(self, key: str) -> tuple[str, str]:
        """Return person and network address as they are stored: as hashes with our key."""
        network = network_of(self.address)
        return _hash(key, self.person), _hash(key, network) if network else ""


def takes_cards(kinds: Sequence[str]) -> bool:
    """Return whether cards are typed at a gateway; only there can they be tried out.

    >>> takes_cards(["upi", "card"]), takes_cards(["paypal"])
    (True, False)
    """
    return "card" in kinds


def network_of(address: str) -> str:
    """Return what one network connection is known by; empty for what is no address.

    A connection has all of an IPv6 /64 to itself, so its addresses count as one.

    >>> network_of("192.0.2.7"), network_of("::ffff:192.0.2.7"), network_of("")
    ('192.0.2.7', '192.0.2.7', '')
    >>> network_of("2001:db8:0:1:aaaa::1") == network_of("2001:db8:0:1::2")
    True
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, 64), strict=False))
    return str(found)


def free_at(declined: Sequence[datetime], most: int, now: datetime) -> datetime | None:
    """Return when another card may be tried, None for now; ``declined`` is newest first.

    Once the last but ``most`` is older than the window there is room for one more.
    """
    recent = [at for at in declined if at > now - WINDOW]
    return recent[most - 1] + WINDOW if len(recent) >= most else None


def _hash(key: str, value: str) -> str:
    return hmac.new(key.encode(), f"card try:{value}".encode(), hashlib.sha256).hexdigest()
