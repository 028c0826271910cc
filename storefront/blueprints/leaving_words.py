"""Why people leave, in words: what customers choose from and what staff read."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _

#: Code and word of every reason, in the order of ``domain.leaving.REASONS``.
REASONS: tuple[tuple[str, Any], ...] = (
    ("too_much", _("More than I use")),
    ("price", _("The price")),
    ("not_for_me", _("Not what I hoped for")),
    ("delivery", _("The delivery")),
    ("other", _("Something else")),
)


def reason_word(code: str) -> str:
    """Return a reason in words; one that is not known any more as it was kept."""
    return str(dict(REASONS).get(code, code))
