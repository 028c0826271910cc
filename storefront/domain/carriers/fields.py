"""What may stand in a column: each field of a box, made of what was frozen at the lock alone.

A file made again later is the same byte for byte, so nothing here may read what can change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from storefront.domain.carriers.countries import ALPHA_3
from storefront.domain.customs import grams_by_sku
from storefront.domain.exports import contents_text
from storefront.domain.money import exponent

_OUNCE = Decimal("28.349523125")
#: ``Lindenweg 4a``, ``Am Markt 3-5``, ``Weg 7 b`` and, the other way round, ``12 bis rue Haute``.
_NUMBER_LAST = re.compile(
    r"^(?P<street>.*\D)[\s,]+(?P<number>\d+\s?[a-zA-Z]?(?:\s?[-/]\s?\d+\s?[a-zA-Z]?)?)$"
)
_NUMBER_FIRST = re.compile(r"^(?P<number>\d+(?:[a-zA-Z]|\s(?:bis|ter))?),?\s+(?P<street>\D.*)$")


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """A locked box as an export sees it."""

    batch: str
    box: str
    cycle: str
    kind: str
    quantity: int
    ship_to: Mapping[str, Any]
    packing: Mapping[str, Any]
    locked_on: date | None = None
    #: The first box of the parcel it leaves in with others; empty: it leaves alone.
    parcel: str = ""
    #: How many boxes are in that parcel.
    in_parcel: int = 1
    #: The boxes of a row that stands for a parcel; empty: it stands for this box.
    boxes: tuple[str, ...] = ()

    @property
    def contents(self) -> Sequence[Sequence[Any]]:
        """(SKU, pieces) of what is inside."""
        contents: Sequence[Sequence[Any]] = self.packing["contents"]
        return contents

    @property
    def names(self) -> Mapping[str, str]:
        """What each SKU was called at the lock; itself in a box locked before that was kept."""
        skus = [str(sku) for sku, _pieces in self.contents]
        return dict(zip(skus, self.packing.get("names") or skus, strict=True))

    @property
    def gift(self) -> Mapping[str, str]:
        """``from`` and ``message`` of the giver; empty where it is no gift."""
        words: Mapping[str, str] = self.packing.get("gift") or {}
        return words

    @property
    def answers(self) -> Sequence[Sequence[str]]:
        """(question, answer) of the subscriber, as they were worded at the lock."""
        said: Sequence[Sequence[str]] = self.packing.get("answers", ())
        return said

    @property
    def customs(self) -> Sequence[Mapping[str, Any]]:
        """What is declared of each product; empty where the parcel crosses no border."""
        lines: Sequence[Mapping[str, Any]] = self.packing.get("customs", ())
        return lines

    def address(self, part: str) -> str:
        """Return one part of the address, empty where there is none."""
        return str(self.ship_to.get(part) or "")


def street_parts(street: str) -> tuple[str, str]:
    """Return street and house number; the number is empty where none can be told apart.

    >>> street_parts("Lindenweg 4a"), street_parts("12 rue Haute"), street_parts("Postfach")
    (('Lindenweg', '4a'), ('rue Haute', '12'), ('Postfach', ''))
    """
    found = _NUMBER_LAST.match(street.strip()) or _NUMBER_FIRST.match(street.strip())
    return (found["street"].rstrip(" ,"), found["number"]) if found else (street, "")


def phone_digits(phone: str) -> str:
    """Return a phone number without signs between its digits; a leading + becomes 00.

    Anything else than digits stays, so that a check can say so.

    >>> phone_digits("+49 (3641) 12-34"), phone_digits("12 ext. 3")
    ('004936411234', '12ext.3')
    """
    plain = re.sub(r"[\s()/-]", "", phone)
    return f"00{plain[1:]}" if plain.startswith("+") else plain


def _kilograms(grams: int) -> str:
    return f"{Decimal(grams) / 1000:.3f}"


def _ounces(grams: int) -> str:
    return f"{Decimal(grams) / _OUNCE:.2f}"


def _day(box: BoxFacts, form: str) -> str:
    return box.locked_on.strftime(form) if box.locked_on else ""


def _value(minor: int | None, currency: str) -> str:
    digits = exponent(currency)
    return "" if minor is None else f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def _declared(line: Mapping[str, Any]) -> str:
    """Return a line of customs in one cell: 2 x green tea, HS 090210, CN, 8.90 EUR."""
    value = _value(line["value_minor"], line["currency"])
    known = (
        f"{line['pieces']} x {line['text'] or line['sku']}",
        f"HS {line['hs_code']}" if line["hs_code"] else "",
        line["origin"],
        f"{value} {line['currency']}" if value else "",
    )
    return ", ".join(filter(None, known))


def _customs_total(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the value of everything, empty where that of a product is not known."""
    if not lines or any(line["value_minor"] is None for line in lines):
        return ""
    total = sum(line["value_minor"] * line["pieces"] for line in lines)
    return f"{_value(total, lines[0]['currency'])} {lines[0]['currency']}"


def _customs_sum(lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return value and currency of everything, empty where there is no one currency."""
    if len({line["currency"] for line in lines}) > 1:
        return "", ""
    value, _, currency = _customs_total(lines).partition(" ")
    return value, currency


def item_fields(box: BoxFacts, sku: str, pieces: int) -> dict[str, str]:
    """Return the fields of one product of ``box``."""
    line = next((one for one in box.customs if one["sku"] == sku), None)
    grams = grams_by_sku(box.packing).get(sku)
    known = {
        "sku": sku,
        "pieces_of_sku": str(pieces),
        "product": box.names[sku],
        "grams_of_sku": "" if grams is None else str(grams),
        "ounces_of_sku": "" if grams is None else _ounces(grams),
    }
    found = dict.fromkeys(ITEM_FIELDS, "") | known
    if line is None:
        return found
    return found | {
        "hs_code": line["hs_code"],
        "origin_country": line["origin"],
        "customs_text": line["text"],
        "customs_value": _value(line["value_minor"], line["currency"]),
        "customs_currency": line["currency"],
    }


def _price(box: BoxFacts, *parts: int) -> str:
    """Return what was paid with the box, empty for one locked before that was kept."""
    price = box.packing.get("price")
    return "" if price is None else _value(sum(price[part] for part in parts), price[2])


def _note(box: BoxFacts) -> str:
    """Return why it is sent, where that is not as always, and with which box it leaves."""
    kind = "" if box.kind == "regular" else box.kind
    return "; ".join(filter(None, (kind, f"parcel {box.parcel}" if box.parcel else "")))


Field = Callable[[BoxFacts], str]


def _part(name: str) -> Field:
    return lambda box: box.address(name)


#: Fields of a box. Their names are kept in formats and batches for good: never rename one.
BOX_FIELDS: Mapping[str, Field] = {
    "batch": lambda box: box.batch,
    "box": lambda box: box.box,
    "cycle": lambda box: box.cycle,
    "plan": lambda box: str(box.packing["plan"]),
    "quantity": lambda box: str(box.quantity),
    "contents": lambda box: contents_text(box.contents),
    "contents_named": lambda box: "; ".join(
        f"{pieces} x {box.names[sku]}" for sku, pieces in box.contents
    ),
    "pieces": lambda box: str(sum(pieces for _sku, pieces in box.contents)),
    "name": _part("name"),
    "company": _part("company"),
    "street": _part("street"),
    "street_name": lambda box: street_parts(box.address("street"))[0],
    "house_number": lambda box: street_parts(box.address("street"))[1],
    "extra": _part("extra"),
    "postcode": _part("postcode"),
    "city": _part("city"),
    "region": _part("region"),
    "country": _part("country"),
    "country_3": lambda box: ALPHA_3.get(box.address("country"), box.address("country")),
    "phone": _part("phone"),
    "phone_digits": lambda box: phone_digits(box.address("phone")),
    "email": lambda box: str(box.packing["email"]),
    "weight_grams": lambda box: str(box.packing["weight_grams"]),
    "weight_kg": lambda box: _kilograms(box.packing["weight_grams"]),
    "weight_oz": lambda box: _ounces(box.packing["weight_grams"]),
    "customs": lambda box: "; ".join(_declared(line) for line in box.customs),
    "customs_total": lambda box: _customs_total(box.customs),
    "customs_total_value": lambda box: _customs_sum(box.customs)[0],
    "customs_total_currency": lambda box: _customs_sum(box.customs)[1],
    "answers": lambda box: "; ".join(f"{what}: {said}" for what, said in box.answers),
    "price_net": lambda box: _price(box, 0),
    "price_tax": lambda box: _price(box, 1),
    "price": lambda box: _price(box, 0, 1),
    "price_currency": lambda box: str((box.packing.get("price") or ("", "", ""))[2]),
    "gift_from": lambda box: box.gift.get("from", ""),
    # In one line: an import takes a line break for the end of the row.
    "gift_message": lambda box: " ".join(box.gift.get("message", "").split()),
    "note": _note,
    "parcel": lambda box: box.parcel or box.box,
    "boxes": lambda box: "; ".join(box.boxes or (box.box,)),
    "boxes_in_parcel": lambda box: str(box.in_parcel),
    "date_iso": lambda box: _day(box, "%Y-%m-%d"),
    "date_dmy": lambda box: _day(box, "%d/%m/%y"),
    "date_mdy": lambda box: _day(box, "%m/%d/%y"),
    "date_us_time": lambda box: _day(box, "%m/%d/%Y 00:00:00"),
}

#: Fields of one product of a box, for formats with a row for each. Those of customs are empty
#: in a box that crosses no border, weights in one locked before they were kept.
ITEM_FIELDS = (
    "sku",
    "product",
    "pieces_of_sku",
    "hs_code",
    "origin_country",
    "customs_text",
    "customs_value",
    "customs_currency",
    "grams_of_sku",
    "ounces_of_sku",
)

FIELDS = (*BOX_FIELDS, *ITEM_FIELDS)
