"""Read and word a choice of contents, for the account's page and for that of the staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront import formats
from storefront.blueprints.context import runtime
from storefront.domain.choices import Fault, FaultKind
from storefront.domain.money import Money
from storefront.merchant_texts import said
from storefront.queries.choices import ChoicePage, Choosable
from storefront.services.choices import Chosen
from storefront.templating import FILTERS, writing_locale

_FIELD = "pick-"
#: Digits of a number that is read; more is a mistake, not a wish.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Picked:
    """One card: the product, what was typed for it, and what is wrong with that."""

    item: Choosable
    typed: str
    pieces: int
    error: str
    #: Why it cannot be chosen, in words; empty when it can.
    note: str

    @property
    def field(self) -> str:
        return f"{_FIELD}{self.item.public_id}"

    @property
    def is_single(self) -> bool:
        """One or none of it: a card to tick."""
        return self.item.most == 1

    @property
    def is_off(self) -> bool:
        """It cannot be chosen; what is chosen already can still be taken out."""
        return bool(self.item.bar) and not self.pieces


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it is shown: what is stored, or what was typed and what is wrong with it."""

    cards: tuple[Picked, ...]
    #: Words for allergens with whether they are ticked.
    allergens: tuple[tuple[str, bool], ...]
    #: Messages about the choice as a whole.
    errors: tuple[str, ...] = ()
    #: Whether it is ticked that what is not tolerated may be kept, and what is wrong with that.
    agrees: bool = False
    unagreed: str = ""

    @property
    def pieces(self) -> int:
        return sum(card.pieces for card in self.cards)

    @property
    def summary(self) -> list[tuple[str, str]]:
        """All messages with the control each belongs to."""
        first = next((card.field for card in self.cards if not card.is_off), "")
        own = [(card.field, card.error) for card in self.cards if card.error]
        unagreed = [("agree", self.unagreed)] if self.unagreed else []
        return own + unagreed + [(first, text) for text in self.errors]


def typed_picks() -> dict[str, str]:
    """Return what was typed by variant; a button beside a number changes it by one."""
    typed = {
        name.removeprefix(_FIELD): value.strip()
        for name, value in request.form.items()
        if name.startswith(_FIELD) and not name.endswith(("-less", "-more"))
    }
    for ref, value in typed.items():
        for ending, step in (("less", -1), ("more", 1)):
            if f"{_FIELD}{ref}-{ending}" in request.form and is_number(value or "0"):
                typed[ref] = str(max(0, int(value or "0") + step))
    return typed


def is_stepping() -> bool:
    """Return whether a button beside a number was pressed, which saves nothing."""
    return any(
        name.startswith(_FIELD) and name.endswith(("-less", "-more")) for name in request.form
    )


def is_number(text: str) -> bool:
    """Return whether ``text`` is a whole number small enough to be meant."""
    return text.isdecimal() and text.isascii() and len(text) <= _DIGITS


def picks_of(typed: Mapping[str, str]) -> dict[str, int]:
    """Return the pieces by variant; what is no number is left out."""
    return {ref: int(value) for ref, value in typed.items() if is_number(value) and int(value)}


def stored_form(page: ChoicePage) -> Form:
    """Return the form with what is stored, and what is wrong with that by now."""
    chosen = {row.public_id: str(row.chosen) for row in page.rows if row.chosen}
    return filled_form(page, chosen, page.faults, page.allergens)


def filled_form(
    page: ChoicePage,
    typed: Mapping[str, str],
    faults: Sequence[Fault] = (),
    allergens: Sequence[tuple[str, bool]] | None = None,
) -> Form:
    """Return the form with what was typed and the message of every fault at its place."""
    by_variant = {fault.variant: fault for fault in faults if fault.variant is not None}
    cards = tuple(_card(row, typed, by_variant.get(row.variant)) for row in page.rows)
    whole = [fault for fault in faults if fault.variant not in {row.variant for row in page.rows}]
    ticked = set(request.form.getlist("avoid"))
    kept = tuple((word, word in ticked) for word, _avoided in page.allergens)
    is_answered = any(avoided for _word, avoided in page.allergens)
    return Form(
        cards,
        kept if allergens is None else tuple(allergens),
        tuple(dict.fromkeys(_of_all(fault, page) for fault in whole)),
        is_answered if allergens is not None else "agree" in request.form,
    )


def _card(row: Choosable, typed: Mapping[str, str], fault: Fault | None) -> Picked:
    text = typed.get(row.public_id, "0" if row.most > 1 else "")
    if text and not is_number(text):
        most = min(row.most, row.left if row.left is not None else row.most)
        error = _("Enter a whole number from 0 to %(most)s", most=most)
        return Picked(row, text, 0, error, "")
    pieces = int(text or "0")
    error = _of_one(fault, row) if fault else ""
    return Picked(row, text, pieces, error, barred_words(row) if row.bar else "")


def barred_words(row: Choosable) -> str:
    """Say why something cannot be chosen."""
    if row.bar == "allergen":
        return _("Contains what you avoid")
    if row.bar == "repeated":
        return _("You had it before")
    return _("Sold out")


def _of_one(fault: Fault, row: Choosable) -> str:
    if fault.kind is FaultKind.MOST_OF_ONE:
        return ngettext(
            "At most %(num)s of %(name)s goes into one box.",
            "At most %(num)s of %(name)s go into one box.",
            fault.number,
            name=said(row.name),
        )
    if fault.kind is FaultKind.NOT_ENOUGH_LEFT:
        return ngettext(
            "Only %(num)s of %(name)s is left.",
            "Only %(num)s of %(name)s are left.",
            fault.number,
            name=said(row.name),
        )
    if row.bar == "allergen":
        return _("%(name)s contains what you avoid. Take it out.", name=said(row.name))
    if row.bar == "repeated":
        return _("You had %(name)s before. Choose something new.", name=said(row.name))
    return _("%(name)s is sold out. Choose something else; the rest is safe.", name=said(row.name))


def _of_all(fault: Fault, page: ChoicePage) -> str:
    number, name = fault.number, fault.category
    if fault.kind is FaultKind.TOO_FEW:
        return ngettext("Choose %(num)s more.", "Choose %(num)s more.", number)
    if fault.kind is FaultKind.TOO_MANY:
        return ngettext("Take %(num)s out.", "Take %(num)s out.", number)
    if fault.kind is FaultKind.CATEGORY_LEAST:
        return _("Choose at least %(count)s of %(name)s.", count=number, name=name)
    if fault.kind is FaultKind.CATEGORY_MOST:
        return _("Choose at most %(count)s of %(name)s.", count=number, name=name)
    return _of_rest(fault, page)


def _of_rest(fault: Fault, page: ChoicePage) -> str:
    """Say why what was chosen leaves no way to fill the box, or that it is offered no more."""
    if fault.kind is FaultKind.NO_ROOM:
        return ngettext(
            "There is no room left for what must be in it: take %(num)s of something else out.",
            "There is no room left for what must be in it: take %(num)s of something else out.",
            fault.number,
        )
    if fault.kind is FaultKind.POOL_TOO_SMALL:
        return _(
            "Too little is left to fill this box, so nothing can be saved now. "
            "Try again later; if you do not, we choose for you."
        )
    if page.value is not None and fault.kind in {FaultKind.VALUE, FaultKind.NO_VALUE_LEFT}:
        return _of_value(fault, page.value)
    gone = page.gone.get(fault.variant or 0)
    if gone:
        return _("%(name)s is no longer offered for this box. Choose something else.", name=gone)
    return _("Something you chose is no longer offered. Look at your box again.")


def _of_value(fault: Fault, most: Money) -> str:
    if fault.kind is FaultKind.VALUE:
        return _("Choose for at most %(amount)s in all.", amount=_money(most))
    return _(
        "Filled up with the cheapest that is left, your box would be worth %(least)s; at most "
        "%(amount)s is allowed. Take something cheaper instead.",
        least=_money(Money(fault.number, most.currency)),
        amount=_money(most),
    )


def rule_words(page: ChoicePage) -> list[str]:
    """Say what a choice must keep to, beside its number of pieces."""
    words = []
    for limit in page.rule.limits if page.rule else ():
        name = limit.category
        if limit.least:
            words.append(_("At least %(count)s of %(name)s", count=limit.least, name=name))
        if limit.most is not None:
            words.append(_("At most %(count)s of %(name)s", count=limit.most, name=name))
    if page.value is not None:
        words.append(_("Worth at most %(amount)s in all", amount=_money(page.value)))
    return words


def saved_words(chosen: Chosen) -> str:
    """Say what was saved, and until when it can be changed."""
    when = formats.cutoff(FILTERS["day"](chosen.until_on), runtime().shop.zone)
    if not chosen.pieces:
        return _("We choose for you. You can change that until %(when)s.", when=when)
    if chosen.missing:
        return ngettext(
            "Saved. We add %(num)s for you; you can change it until %(when)s.",
            "Saved. We add %(num)s for you; you can change it until %(when)s.",
            chosen.missing,
            when=when,
        )
    return _("Saved. You can change it until %(when)s.", when=when)


def _money(value: Money) -> str:
    return formats.money(value, writing_locale())
