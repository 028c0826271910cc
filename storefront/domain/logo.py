"""How large a shop's logo may be, and how large it is shown.

Source: docs/decisions/0231-a-logo-of-the-shop.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storefront.domain.errors import DomainError

MOST_BYTES = 2_000_000
#: Pixels of each side of a picture that is taken.
SMALLEST, LARGEST = 16, 4000
#: Pixels that the head of a page has for it, and how many times that are kept for sharp screens.
WIDEST, HIGHEST, SHARP = 200, 40, 2
#: Pixels of white around it in a mail.
RIM = 6


class NotAPicture(DomainError):
    """Not a PNG or JPEG, or a broken one."""

    code = "not_a_picture"


class WrongSize(DomainError):
    """Too small or too large to be a logo."""

    code = "wrong_size"


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo that can be shown: PNG, and how large on a page."""

    png: bytes
    digest: str
    width: int
    height: int

    @property
    def link(self) -> dict[str, Any]:
        """What every page has to know of it."""
        return {"digest": self.digest, "width": self.width, "height": self.height}


def fitted(width: int, height: int, times: int = 1) -> tuple[int, int]:
    """Return the size in the head of a page, never larger than the picture; ``times`` as sharp.

    >>> fitted(1000, 100), fitted(1000, 100, 2), fitted(100, 1000), fitted(60, 20, 2)
    ((200, 20), (400, 40), (4, 40), (60, 20))
    """
    scale = min(WIDEST * times / width, HIGHEST * times / height, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)
