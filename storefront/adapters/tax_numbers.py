"""VAT numbers: spelling and check digits, by python-stdnum, offline."""

from __future__ import annotations

import re

from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from storefront.domain.errors import DomainError

#: Greek numbers begin with EL.
_PREFIX_OF = {"GR": "EL"}


class NotATaxNumber(DomainError):
    """No member state writes VAT numbers like this, or a digit is wrong."""

    code = "not_a_tax_number"


def normalise_tax_number(typed: str, country: str) -> str:
    """Return an EU VAT number with prefix and without spaces; empty for an empty one.

    Without a prefix that of ``country`` is put before it. Raises ``NotATaxNumber``.
    """
    text = re.sub(r"[^0-9A-Za-z]", "", typed).upper()
    if not text:
        return ""
    for prefixed in (text, country + text):
        prefix = _PREFIX_OF.get(prefixed[:2], prefixed[:2])
        try:
            return str(vat.validate(prefix + prefixed[2:]))
        except ValidationError:
            continue
    raise NotATaxNumber(number=text)
