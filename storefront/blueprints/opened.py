"""Which private plans this browser has opened, by their codes.

Source: docs/decisions/0232-private-plans-by-a-code.md.
"""

from __future__ import annotations

from flask import session

from storefront.domain.access_codes import MOST_OPENED

_OPENED = "plan_codes"


def codes_of_visit() -> tuple[str, ...]:
    """Return the codes that this browser opened plans with."""
    return tuple(session.get(_OPENED, ()))


def open_with(code: str) -> None:
    """Keep that this browser knows a code. One that is changed since opens nothing any more."""
    others = [each for each in codes_of_visit() if each != code]
    session[_OPENED] = [*others, code][-MOST_OPENED:]
