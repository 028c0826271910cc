"""What stands on a card statement: the shop's name, and that a trial is over."""

from __future__ import annotations

#: Stands in the first charge after a free trial, as the card schemes ask for. The same in every
#: language: it is for the bank as well, and statements know few letters.
TRIAL_OVER = "TRIAL OVER"


def descriptor(shop: str, length: int, *, is_after_trial: bool = False) -> str:
    """Return at most ``length`` characters; empty for 0, where a gateway takes none.

    The name is cut between words. Where both do not fit the marker stays: gateways that have so
    little room put the merchant's own name before it.

    >>> descriptor("Nine Kettles GmbH", 22), descriptor("Nine Kettles", 10)
    ('Nine Kettles GmbH', 'Nine')
    >>> descriptor("Nine Kettles", 22, is_after_trial=True)
    'Nine TRIAL OVER'
    >>> descriptor("Nine Kettles", 10, is_after_trial=True)
    'TRIAL OVER'
    >>> descriptor("Nine Kettles", 0, is_after_trial=True), descriptor("Kettlesandteapots", 8)
    ('', 'Kettlesa')
    """
    if not is_after_trial:
        return _words(shop, length) or shop[:length]
    if length < len(TRIAL_OVER):
        return ""
    return f"{_words(shop, length - len(TRIAL_OVER) - 1)} {TRIAL_OVER}".strip()


def _words(text: str, length: int) -> str:
    """Return the first words of ``text`` that fit."""
    kept = ""
    for word in text.split():
        longer = f"{kept} {word}".strip()
        if len(longer) > length:
            break
        kept = longer
    return kept
