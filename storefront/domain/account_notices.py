"""Which mails a subscriber also finds in the account, and for how long.

Source: docs/decisions/0215-notices-in-the-account.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from storefront.domain.content import in_language

#: How long a notice stands there, and how many are listed.
LASTS, MOST = timedelta(days=90), 60
#: Notices the first page names.
SHOWN = 3
#: Longest title and text of an announcement.
LONGEST_TITLE, LONGEST_TEXT = 120, 600

#: Topics of mails that are notices too: what needs somebody, or changes what they count on.
TOPICS = frozenset(
    {
        "payment_failed",
        "payment_confirm",
        "payment_last_warning",
        "payment_given_up",
        "transfer_due",
        "transfer_overdue",
        "extra_charge",
        "debit_notice",
        "card_ends",
        "card_gone",
        "card_renewed",
        "price_change",
        "trial_ends",
        "resume_soon",
        "ship_day_moved",
        "box_short",
        "box_waits",
        "box_made",
        "box_returned",
        "box_lost",
        "box_replaced",
        "box_not_added",
        "not_delivered_there",
        "late_change",
        "choice_replaced",
        "choice_gone",
        "dispute_opened",
        "dispute_won",
        "refunded",
        "surplus_refunded",
        "referral_credit",
        "inquiry_answered",
    }
)


def wording(
    texts: Mapping[str, Mapping[str, str]], locale: str, shop_locale: str
) -> tuple[str, str]:
    """Return title and text of an announcement in the reader's language, or else the shop's.

    >>> wording({"en": {"title": "Hi", "text": "New"}}, "fr", "en")
    ('Hi', 'New')
    """
    _language, found = in_language(texts, locale, shop_locale)
    return found.get("title", ""), found.get("text", "")
