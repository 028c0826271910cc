"""Refuse an address that nothing is sent to, beside the part of it that is to blame."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _

from storefront.database import reading
from storefront.domain.shipping import blocked_part
from storefront.operations.shipping import read_zones
from storefront.runtime import Runtime


def refuse_blocked(rt: Runtime, form: Any) -> bool:
    """Put the error at ``form.country`` or ``form.postcode``; False where boxes are sent there.

    Source: docs/decisions/0147-shipping-zones.md.
    """
    # No lock of a write is held while a VAT number may be asked about.
    with reading():
        zones = read_zones(rt.session)
    rt.session.rollback()
    part = blocked_part(zones, form.country.data or "", form.postcode.data or "")
    if part == "country":
        form.country.errors = [_("We do not deliver there yet. Choose another country")]
    elif part:
        words = _(
            "We do not deliver to this postcode. Enter another address, like that of a friend"
        )
        form.postcode.errors = [words]
    return bool(part)
