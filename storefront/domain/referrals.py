"""Who is a friend sent by a subscriber, and who only sends themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReferralRefusal(StrEnum):
    """Why nobody is credited for an order that came by a friend's link."""

    SAME_PERSON = "same_person"
    NOT_NEW = "not_new"
    SAME_CARD = "same_card"
    SAME_ADDRESS = "same_address"


@dataclass(frozen=True, slots=True)
class ReferralFacts:
    """What is known of who recommends (giver) and who came (friend).

    Cards are the gateway's fingerprints, addresses are (street, postcode, country).
    """

    giver_email: str
    friend_email: str
    is_new: bool
    giver_cards: frozenset[str]
    friend_card: str
    giver_addresses: frozenset[tuple[str, str, str]]
    friend_address: tuple[str, str, str]


def referral_refusal(facts: ReferralFacts) -> ReferralRefusal | None:
    """Return why nobody is credited, or None; the first reason in the order of the enum.

    A mailbox with a tag (``ada+tea@``) is the same mailbox; case and spaces of addresses
    do not matter. What is not known is no reason.
    Source: docs/decisions/0082-credit-pays-first.md.

    >>> none = frozenset()
    >>> away = ("Lindenweg 4", "07743", "DE")
    >>> facts = ReferralFacts("ada@example.org", "ada+2@example.org", True, none, "", none, away)
    >>> referral_refusal(facts)
    <ReferralRefusal.SAME_PERSON: 'same_person'>
    """
    givers = {_same(address) for address in facts.giver_addresses}
    checks = (
        (ReferralRefusal.SAME_PERSON, _mailbox(facts.giver_email) == _mailbox(facts.friend_email)),
        (ReferralRefusal.NOT_NEW, not facts.is_new),
        (
            ReferralRefusal.SAME_CARD,
            bool(facts.friend_card) and facts.friend_card in facts.giver_cards,
        ),
        (ReferralRefusal.SAME_ADDRESS, _same(facts.friend_address) in givers),
    )
    return next((reason for reason, applies in checks if applies), None)


def _mailbox(email: str) -> str:
    local, _, domain = email.casefold().partition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _same(address: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple("".join(part.casefold().split()) for part in address)
