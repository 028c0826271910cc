"""The second step of a sign-in: what is typed, and how recovery codes are written.

Source: docs/decisions/0217-two-step-sign-in.md.
"""

from __future__ import annotations

import re

from storefront.domain.errors import DomainError

#: Recovery codes made at a time.
RECOVERY_CODES = 10
#: Letters of a recovery code: 80 bits, none of them easily taken for another.
_LENGTH, _GROUP = 16, 4
_TYPED = re.compile(r"[a-z2-7]{16}")


class WrongSecondStep(DomainError):
    """Neither the code of this half minute nor an unused recovery code."""

    code = "wrong_second_step"


class NotBegun(DomainError):
    """There is nothing to switch on, or it is on already."""

    code = "not_begun"


def digits_of(typed: str) -> str | None:
    """Return the six digits of an authenticator's code, None for anything else.

    >>> digits_of(" 123 456 "), digits_of("abcd"), digits_of("12345²")
    ('123456', None, None)
    """
    text = "".join(typed.split())
    return text if len(text) == 6 and text.isascii() and text.isdigit() else None


def recovery_code_of(typed: str) -> str | None:
    """Return a recovery code as it is hashed, however its groups were typed; None for none.

    >>> recovery_code_of("ABCD efgh-ijkl mn22"), recovery_code_of("123456")
    ('abcdefghijklmn22', None)
    """
    text = "".join(typed.split()).replace("-", "").lower()
    return text if len(text) == _LENGTH and _TYPED.fullmatch(text) else None


def written(code: str) -> str:
    """Return a recovery code in groups, as it is read and typed.

    >>> written("abcdefghijklmn22")
    'abcd-efgh-ijkl-mn22'
    """
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))
