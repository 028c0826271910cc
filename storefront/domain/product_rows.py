"""Products as plain values, and the cells of product files read into them.

A reader never guesses: a cell that it cannot read makes a ``RowIssue`` with a stable code, and
the product it belongs to is left out and named. Codes are worded by the page.
"""

import hashlib
import re
import unicodedata
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from storefront.domain.carriers.countries import ALPHA_3
from storefront.domain.customs import hs_code_of
from storefront.domain.money import exponent

NAME_LIMIT = 255
SKU_LIMIT = 80

#: Grams of one unit of weight.
_GRAMS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "lbs": Decimal("453.59237"),
    "lb": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
_TRUE = {"1", "true", "yes", "y", "continue", "notify", "x"}
#: Heaviest piece that is believed, in grams; more is a unit mixed up.
_HEAVIEST = 1_000_000
_MOST_PIECES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RowIssue:
    """What is wrong in one cell; ``row`` counts like a spreadsheet (the heading is 1)."""

    row: int
    column: str
    code: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class VariantData:
    """One SKU of a file. ``stock`` is None where the file states none."""

    row: int
    sku: str
    name: str
    price_minor: int | None
    cost_minor: int | None
    weight_grams: int
    is_counted: bool
    may_oversell: bool
    stock: int | None
    #: For customs; empty where the file states none.
    hs_code: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ProductData:
    """One product of a file; ``description`` is HTML or text as it came, not to be shown."""

    row: int
    ref: str
    name: str
    description: str
    vendor: str
    category: str
    tags: tuple[str, ...]
    variants: tuple[VariantData, ...]


class CellProblem(ValueError):
    """A cell cannot be read; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Row:
    """One row: cells by our own name of their column, and the issues found in them."""

    number: int
    cells: Mapping[str, str]
    headings: Mapping[str, str]
    issues: list[RowIssue] = field(default_factory=list)

    def text(self, column: str) -> str:
        """Return the trimmed cell, empty where the file has no such column."""
        return self.cells.get(column, "").strip()

    def line(self, column: str, limit: int = NAME_LIMIT) -> str:
        """Return the cell on one line, of at most ``limit`` characters; longer is an issue."""
        text = " ".join(self.text(column).split())
        if len(text) > limit:
            self.complain(column, "too_long", text)
            return ""
        return text

    def flag(self, column: str) -> bool:
        """Return whether the cell says yes."""
        return self.text(column).lower() in _TRUE

    def amount(self, column: str, currency: str) -> int | None:
        """Return the amount in minor units, None for an empty cell or one with an issue."""
        try:
            return amount_minor(self.text(column), currency) if self.text(column) else None
        except CellProblem as problem:
            self.complain(column, problem.code)
            return None

    def pieces(self, column: str) -> int | None:
        """Return a whole number, None for an empty cell or one with an issue."""
        try:
            return whole(self.text(column)) if self.text(column) else None
        except CellProblem as problem:
            self.complain(column, problem.code)
            return None

    def grams(self, column: str, unit: str) -> int:
        """Return a weight in grams, 0 for an empty cell or one with an issue."""
        try:
            return grams(self.text(column), unit) if self.text(column) else 0
        except CellProblem as problem:
            self.complain(column, problem.code)
            return 0

    def hs_code(self, column: str) -> str:
        """Return a tariff number in digits, empty for an empty cell or one with an issue."""
        try:
            return hs_code_of(self.text(column)) if self.text(column) else ""
        except ValueError:
            self.complain(column, "not_an_hs_code")
            return ""

    def country(self, column: str) -> str:
        """Return an ISO code of two letters, empty for an empty cell or one with an issue."""
        code = self.text(column).upper()
        if code and code not in ALPHA_3:
            self.complain(column, "not_a_country")
            return ""
        return code

    def complain(self, column: str, code: str, value: str | None = None) -> None:
        """Note an issue of the cell, under the file's own name of its column."""
        shown = self.text(column) if value is None else value
        self.issues.append(
            RowIssue(self.number, self.headings.get(column, column), code, shown[:80])
        )


def amount_minor(text: str, currency: str) -> int:
    """Return an amount as written by a shop in minor units of ``currency``.

    The last of several kinds of separators is the decimal one. Raises ``CellProblem``:
    ``not_an_amount``; ``negative``; ``too_fine`` for more decimals than the currency has, or a
    single separator with three digits behind it, which could be either.

    >>> amount_minor("1,234.50", "EUR"), amount_minor("9,99 €", "EUR"), amount_minor("500", "EUR")
    (123450, 999, 50000)
    """
    plain = re.sub(r"[^\d.,+\-]", "", text.replace("\u2212", "-"))
    if not re.fullmatch(r"[+-]?\d[\d.,]*", plain) or re.search(r"[^\W\d_]{4,}", text):
        raise CellProblem("not_an_amount")
    if plain.startswith("-") and plain.strip("-0.,"):
        raise CellProblem("negative")
    number = _decimal(plain.lstrip("+-"), exponent(currency))
    minor = number.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise CellProblem("too_fine")
    if minor > 10**12:
        raise CellProblem("not_an_amount")
    return int(minor)


def _decimal(plain: str, decimals: int) -> Decimal:
    cut = max(plain.rfind("."), plain.rfind(","))
    if cut < 0:
        return Decimal(plain)
    mark, other = plain[cut], "," if plain[cut] == "." else "."
    whole_part, rest = plain[:cut], plain[cut + 1 :]
    if mark in whole_part:
        # The same sign more than once stands between thousands.
        groups = plain.split(mark)
        if other in plain or any(len(group) != 3 for group in groups[1:]):
            raise CellProblem("not_an_amount")
        return Decimal("".join(groups))
    if len(rest) == 3 and decimals != 3 and other not in whole_part:
        raise CellProblem("too_fine")
    try:
        return Decimal(f"{whole_part.replace(other, '') or '0'}.{rest or '0'}")
    except InvalidOperation as error:
        raise CellProblem("not_an_amount") from error


def whole(text: str) -> int:
    """Return a whole number; ``12.0`` is one. Raises ``CellProblem`` ``not_whole``.

    >>> whole("12"), whole("-3"), whole("12.00")
    (12, -3, 12)
    """
    match = re.fullmatch(r"([+-]?\d{1,12})(?:[.,]0+)?", text.strip().replace("\u2212", "-"))
    if match is None or abs(int(match.group(1))) > _MOST_PIECES:
        raise CellProblem("not_whole")
    return int(match.group(1))


def grams(text: str, unit: str) -> int:
    """Return a weight in whole grams, half up. Raises ``CellProblem`` ``not_a_weight``.

    >>> grams("0.25", "kg"), grams("1,5", "kg"), grams("2", "oz")
    (250, 1500, 57)
    """
    plain = text.strip().replace(",", ".")
    factor = _GRAMS.get(unit.lower())
    if factor is None or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", plain):
        raise CellProblem("not_a_weight")
    weight = int((Decimal(plain) * factor).to_integral_value(ROUND_HALF_UP))
    if weight > _HEAVIEST:
        raise CellProblem("not_a_weight")
    return weight


def split_list(text: str, separator: str = ",") -> tuple[str, ...]:
    r"""Return the parts of a list in one cell, without blanks and repeats; ``\,`` is a comma.

    >>> split_list(r"Pot, Plants, pot\, big, Pot")
    ('Pot', 'Plants', 'pot, big')
    """
    parts = re.split(rf"(?<!\\){re.escape(separator)}", text)
    cleaned = (" ".join(part.replace(f"\\{separator}", separator).split()) for part in parts)
    return tuple(dict.fromkeys(part for part in cleaned if part))


def made_sku(ref: str, name: str, taken: Container[str] = ()) -> str:
    """Return the SKU of a variant that has none: always the same for the same variant.

    >>> made_sku("clay-plant-pot", "Large"), made_sku("clay-plant-pot", "")
    ('CLAY-PLANT-POT-LARGE', 'CLAY-PLANT-POT')
    """
    words = unicodedata.normalize("NFKC", f"{ref} {name}").upper()
    sku = re.sub(r"[\W_]+", "-", words).strip("-")
    if sku and len(sku) <= SKU_LIMIT and sku not in taken:
        return sku
    digest = hashlib.sha256(f"{ref}\n{name}".encode()).hexdigest()[:8].upper()
    return f"{sku[: SKU_LIMIT - 9]}-{digest}".lstrip("-")


def with_skus(products: Sequence[ProductData]) -> tuple[list[ProductData], list[RowIssue]]:
    """Return ``products`` with a SKU for every variant; products whose SKU is taken are left out.

    The first variant of the file that has a SKU keeps it.
    """
    taken = {v.sku for product in products for v in product.variants if v.sku}
    seen: set[str] = set()
    kept: list[ProductData] = []
    issues: list[RowIssue] = []
    for product in products:
        variants = []
        for variant in product.variants:
            sku = variant.sku or made_sku(product.ref, variant.name, taken)
            if sku in seen:
                issues.append(RowIssue(variant.row, "SKU", "sku_twice", sku))
                continue
            seen.add(sku)
            taken.add(sku)
            variants.append(replace(variant, sku=sku))
        if len(variants) == len(product.variants):
            kept.append(replace(product, variants=tuple(variants)))
    return kept, issues
