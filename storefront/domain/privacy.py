"""What must not be kept as it was typed, and what is compared in one form only."""

import re
import unicodedata
from itertools import accumulate

from storefront.domain.errors import DomainError

#: Groups of digits with at most one space, dot or dash between them.
_DIGIT_GROUPS = re.compile(r"\d+(?:[ \u00a0.\u2010-\u2013-]\d+)*")
_CARD_LENGTHS = range(13, 20)


def mask_card_numbers(text: str) -> str:
    """Return ``text`` with every card number reduced to its last four digits.

    A card number is 13 to 19 digits, in one piece or in whole groups, that pass the Luhn
    check. The layout stays, each hidden digit becomes a bullet.

    >>> mask_card_numbers("card 4242 4242 4242 4242, order 123456")
    'card •••• •••• •••• 4242, order 123456'
    """
    return _DIGIT_GROUPS.sub(lambda match: _masked(match.group()), text)


def _masked(run: str) -> str:
    """Mask card numbers made of neighbouring groups of ``run``, the longest first."""
    groups = [(match.start(), match.end()) for match in re.finditer(r"\d+", run)]
    ends = [0, *accumulate(end - start for start, end in groups)]
    shown = list(run)
    first = 0
    while first < len(groups):
        for last in range(len(groups) - 1, first - 1, -1):
            start, end = groups[first][0], groups[last][1]
            if ends[last + 1] - ends[first] in _CARD_LENGTHS and _passes_luhn(run[start:end]):
                _hide(shown, start, end)
                first = last
                break
        first += 1
    return "".join(shown)


def _passes_luhn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return any(digits) and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _hide(shown: list[str], start: int, end: int) -> None:
    digits = [i for i in range(start, end) if shown[i].isdigit()]
    for i in digits[:-4]:
        shown[i] = "•"


class NotAnEmail(DomainError):
    """What was typed cannot be an e-mail address."""

    code = "not_an_email"


def normalise_email(text: str) -> str:
    """Return the one form in which an e-mail address is stored, compared and written to.

    Outer space goes, letters become small and composed (NFC). Nothing else is folded:
    dots and plus signs can mean another mailbox. Whether it exists only a mail can tell.
    Raises ``NotAnEmail`` unless it is ``local@domain`` in one piece, at most 254
    characters, with no control character and no empty label in the domain.

    >>> normalise_email("  Ada@Example.ORG ")
    'ada@example.org'
    """
    address = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())
    local, at, domain = address.rpartition("@")
    odd = any(unicodedata.category(character)[0] in "ZC" for character in address)
    if not (local and at and "@" not in local and all(domain.split("."))) or odd:
        raise NotAnEmail
    if len(address) > 254:
        raise NotAnEmail
    return address
