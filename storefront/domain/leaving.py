"""Leaving: the reasons somebody may name."""

from __future__ import annotations

#: Codes of the reasons, in the order in which they are shown.
REASONS = ("too_much", "price", "not_for_me", "delivery", "other")
#: The longest answer in words of one's own that is kept.
LONGEST_NOTE = 500
