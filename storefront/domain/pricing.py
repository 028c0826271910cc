"""One function that prices: what the preview shows is what is booked, to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256

from storefront.domain.coupons import Discount, apply_discounts
from storefront.domain.invoices import LineKind
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.taxes import Rounding, minor_per_group, minor_per_line, tax_of


@dataclass(frozen=True, slots=True)
class PricedItem:
    """Something to be paid for: ``quantity`` times ``unit``, taxed at ``tax_rate`` percent.

    ``unit`` is in the terms of the document: with tax inside when that is inclusive.
    ``ref`` says what it is to the caller (a plan, an option) and is part of the hash.
    ``addon_id`` is the key of an add-on, for the invoice line; no document shows it.
    Raises ``ValueError`` for a quantity below one.
    """

    kind: LineKind
    text: str
    quantity: int
    unit: Money
    tax_rate: Decimal
    ref: str = ""
    addon_id: int | None = None

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError(f"quantity {self.quantity} of {self.text!r}")


@dataclass(frozen=True, slots=True)
class NamedDiscount:
    """A discount with the words and the reference it is shown with, and what it lowers."""

    text: str
    ref: str
    discount: Discount
    applies_to: frozenset[LineKind] = frozenset({LineKind.PLAN, LineKind.OPTION})


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """A line as the document shows it.

    ``amount`` is with tax inside when the document is inclusive and below zero for a
    discount; ``tax`` is this line's share of the document's tax. ``lowers`` is the
    position of the line that a discount line lowers, None for every other line.
    """

    kind: LineKind
    text: str
    quantity: int
    unit: Money
    amount: Money
    tax_rate: Decimal
    tax: Money
    ref: str
    lowers: int | None = None
    addon_id: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced document. ``taxes`` holds (rate, net, tax) per rate, the highest first.

    ``total`` is what is to be paid, ``net`` + ``tax``. ``content_hash`` changes when
    anything shown changes; booking with another hash shows the new quote instead.
    """

    currency: str
    inclusive: bool
    lines: tuple[QuoteLine, ...]
    total: Money
    tax: Money
    net: Money
    taxes: tuple[tuple[Decimal, Money, Money], ...]
    content_hash: str


#: (what the line says, its amount in minor units, the position of the line it lowers)
_Row = tuple[PricedItem, int, int | None]


def quote(
    items: Sequence[PricedItem],
    discounts: Sequence[NamedDiscount] = (),
    *,
    inclusive: bool,
    rounding: Rounding = "sum",
) -> Quote:
    """Price ``items`` after ``discounts`` and say everything a document shows.

    The item lines come first, in order, so ``lines[: len(items)]`` are theirs; then, per
    discount in order, one line for each item line it lowers, at that line's tax rate.
    Discounts work in order, each on what is left (``apply_discounts``); no item falls
    below zero, and credits are not discounted.
    Rounding: tax is rounded once per rate on the document and split onto the lines by
    largest remainder (``rounding="line"``: on each line); line taxes sum to the tax.
    The total is the sum of the line amounts, plus tax when not inclusive.
    Raises ``ValueError`` without an item, ``CurrencyMismatch`` for several currencies.
    Source: docs/decisions/0014-tax-once-per-rate.md and 0022-one-quote.md.

    >>> box = PricedItem(LineKind.PLAN, "Tea box", 1, Money(2900, "EUR"), Decimal(7))
    >>> tenth = NamedDiscount("WELCOME10", "", Discount("percent", Decimal(10)))
    >>> offer = quote([box], [tenth], inclusive=True)
    >>> [line.amount.minor for line in offer.lines], offer.total.minor, offer.tax.minor
    ([2900, -290], 2610, 171)
    """
    if len(items) == 1 and not discounts:
        return _quote_one(items[0], inclusive)
    return _quote_all(items, discounts, inclusive, rounding)


def with_credits(charges: Quote, taken: Sequence[QuoteLine]) -> Quote:
    """Return the document that takes ``taken`` back, before the lines of ``charges``.

    Those lines are below zero and carry the tax they were paid with, so that what is taken back
    is exactly what was booked; no line of ``charges`` may name another by its position.
    Raises ``ValueError`` where one does.
    """
    if any(line.lowers is not None for line in charges.lines):
        raise ValueError("a line that names another by its position would name the wrong one")
    lines = (*taken, *charges.lines)
    return _of_lines(lines, charges.currency, charges.inclusive)


def together(parts: Sequence[Quote], rounding: Rounding = "sum") -> tuple[Quote, tuple[Quote, ...]]:
    """Put several documents on one; returns it and what each of ``parts`` is of it.

    The lines follow each other in order. The tax is rounded once per rate on the one document
    and split onto its parts, then onto their lines, so a part's tax can be another than alone,
    by a minor unit per rate; a part of no worth bears none; the parts sum to the document,
    total and tax. Raises ``ValueError`` without a part and
    for documents of both kinds, with tax inside and on top, ``CurrencyMismatch`` for several
    currencies.
    Source: docs/decisions/0100-several-boxes-in-one-order.md.
    """
    if not parts:
        raise ValueError("nothing to price")
    first = parts[0]
    if any(part.currency != first.currency for part in parts):
        raise CurrencyMismatch("one document, one currency")
    if any(part.inclusive != first.inclusive for part in parts):
        raise ValueError("tax inside and on top are two documents")
    amounts = [[(line.amount.minor, line.tax_rate) for line in part.lines] for part in parts]
    taxes = minor_per_group(amounts, inclusive=first.inclusive, rounding=rounding)
    shares: list[Quote] = []
    every: list[QuoteLine] = []
    for part, own in zip(parts, taxes, strict=True):
        start = len(every)
        lines = tuple(
            replace(line, tax=Money(tax, first.currency))
            for line, tax in zip(part.lines, own, strict=True)
        )
        shares.append(_of_lines(lines, first.currency, first.inclusive))
        every += [
            replace(line, lowers=None if line.lowers is None else line.lowers + start)
            for line in lines
        ]
    return _of_lines(tuple(every), first.currency, first.inclusive), tuple(shares)


def _of_lines(lines: tuple[QuoteLine, ...], currency: str, inclusive: bool) -> Quote:
    """Return the document that says ``lines``, each with its tax."""
    amounts = [(line.amount.minor, line.tax_rate) for line in lines]
    per_rate = _per_rate(amounts, [line.tax.minor for line in lines], inclusive)
    net, tax = sum(row[1] for row in per_rate), sum(row[2] for row in per_rate)
    return Quote(
        currency,
        inclusive,
        lines,
        Money(net + tax, currency),
        Money(tax, currency),
        Money(net, currency),
        tuple((rate, Money(part, currency), Money(due, currency)) for rate, part, due in per_rate),
        _content_hash(currency, inclusive, lines, per_rate),
    )


def _quote_one(item: PricedItem, inclusive: bool) -> Quote:
    """Price a single item with no discount: most renewals, so it takes the short way.

    One line has one tax, however it is rounded.
    """
    currency = item.unit.currency
    amount = item.unit if item.quantity == 1 else item.unit * item.quantity
    tax = tax_of(amount, item.tax_rate, inclusive=inclusive)
    if inclusive:
        total, net = amount, Money(amount.minor - tax.minor, currency)
    else:
        total, net = Money(amount.minor + tax.minor, currency), amount
    line = QuoteLine(
        item.kind,
        item.text,
        item.quantity,
        item.unit,
        amount,
        item.tax_rate,
        tax,
        item.ref,
        addon_id=item.addon_id,
    )
    shown = _content_hash(currency, inclusive, (line,), ((item.tax_rate, net.minor, tax.minor),))
    taxes = ((item.tax_rate, net, tax),)
    return Quote(currency, inclusive, (line,), total, tax, net, taxes, shown)


def _quote_all(
    items: Sequence[PricedItem],
    discounts: Sequence[NamedDiscount],
    inclusive: bool,
    rounding: Rounding,
) -> Quote:
    if not items:
        raise ValueError("nothing to price")
    currency = items[0].unit.currency
    if any(item.unit.currency != currency for item in items):
        raise CurrencyMismatch("one document, one currency")
    rows: list[_Row] = [(item, item.unit.minor * item.quantity, None) for item in items]
    if discounts:
        rows += _discount_rows(items, discounts)
    amounts = [(amount, item.tax_rate) for item, amount, _ in rows]
    taxes = minor_per_line(amounts, inclusive=inclusive, rounding=rounding)
    lines = tuple(
        QuoteLine(
            item.kind,
            item.text,
            item.quantity,
            item.unit,
            Money(amount, currency),
            item.tax_rate,
            Money(tax, currency),
            item.ref,
            lowers,
            item.addon_id,
        )
        for (item, amount, lowers), tax in zip(rows, taxes, strict=True)
    )
    per_rate = _per_rate(amounts, taxes, inclusive)
    tax = sum(taxes)
    net = sum(row[1] for row in per_rate)
    return Quote(
        currency,
        inclusive,
        lines,
        Money(net + tax, currency),
        Money(tax, currency),
        Money(net, currency),
        tuple((rate, Money(part, currency), Money(due, currency)) for rate, part, due in per_rate),
        _content_hash(currency, inclusive, lines, per_rate),
    )


def _discount_rows(items: Sequence[PricedItem], discounts: Sequence[NamedDiscount]) -> list[_Row]:
    """Return the discount lines, each with the amount it takes off and the line it lowers."""
    rests = [item.unit * item.quantity for item in items]
    rows: list[_Row] = []
    for named in discounts:
        lowered = [i for i, item in enumerate(items) if item.kind in named.applies_to]
        offs = apply_discounts([rests[i] for i in lowered], [named.discount])
        for i, off in zip(lowered, offs, strict=True):
            if off.is_zero:
                continue
            rests[i] -= off
            line = PricedItem(LineKind.DISCOUNT, named.text, 1, -off, items[i].tax_rate, named.ref)
            rows.append((line, -off.minor, i))
    return rows


def _per_rate(
    amounts: Sequence[tuple[int, Decimal]], taxes: Sequence[int], inclusive: bool
) -> list[tuple[Decimal, int, int]]:
    """Return (rate, net, tax) in minor units per rate, the highest rate first."""
    sums: dict[Decimal, list[int]] = {}
    for (amount, rate), tax in zip(amounts, taxes, strict=True):
        row = sums.setdefault(rate, [0, 0])
        row[0] += amount - tax if inclusive else amount
        row[1] += tax
    return [(rate, net, tax) for rate, (net, tax) in sorted(sums.items(), reverse=True)]


def _content_hash(
    currency: str,
    inclusive: bool,
    lines: Sequence[QuoteLine],
    per_rate: Sequence[tuple[Decimal, int, int]],
) -> str:
    """Hash everything shown. Texts carry their length, so no two documents read the same."""
    shown = [f"quote-1;{currency};{'in' if inclusive else 'ex'}"]
    shown += [
        f"{line.kind.value};{len(line.text)}:{line.text};{line.quantity};{line.unit.minor};"
        f"{line.amount.minor};{_plain(line.tax_rate)};{line.tax.minor};"
        f"{len(line.ref)}:{line.ref};{line.lowers}"
        for line in lines
    ]
    shown += [f"{_plain(rate)};{net};{tax}" for rate, net, tax in per_rate]
    return sha256("\n".join(shown).encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=512)
def _plain(rate: Decimal) -> str:
    """Write 19, 19.0 and 1.9E+1 alike."""
    return format(rate.normalize(), "f")
