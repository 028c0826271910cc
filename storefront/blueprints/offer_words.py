"""The words by which somebody wants mails about offers, as they stand beside a box to tick."""

from __future__ import annotations

from flask_babel import gettext as _

#: Raised with each change of the words that are agreed to.
VERSION = "offers 1"


def wanted_words() -> str:
    """Return what somebody agrees to."""
    return _("Mail me about new boxes and offers. I can stop that at any time with one click.")
