"""Word invoices and credit notes: one sheet of ready texts for paper and page.

A document on paper is written in its own language; a page shows it in its reader's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from babel import Locale
from flask_babel import force_locale
from flask_babel import gettext as _

from storefront import formats
from storefront.adapters import pdf
from storefront.adapters.pdf import Sheet, SheetLine
from storefront.domain.address_lines import address_lines
from storefront.domain.colours import rgb_of
from storefront.domain.gateways import proper_name
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money
from storefront.domain.order_law import names_vat
from storefront.queries.document_groups import groups_of
from storefront.queries.documents import Document, DocumentLine, Payment

#: Lightness of the brand's rule, as the action colour on light pages.
_LIGHTNESS = 0.5


def paper(document: Document) -> bytes:
    """Return ``document`` as PDF in its own language; always the same bytes."""
    return pdf.render(sheet(document, document.locale or "en"))


def illegible(document: Document) -> str:
    """Return the characters that ``paper`` shows as a mark, because its fonts lack them."""
    return pdf.illegible(sheet(document, document.locale or "en"))


def file_name(document: Document) -> str:
    """Return the name its PDF is saved under: ``invoice-2027-000123.pdf``."""
    number = re.sub(r"[^A-Za-z0-9._-]+", "-", document.number).strip("-.")
    return f"{document.kind.replace('_', '-')}-{number}.pdf"


def sheet(document: Document, language: str, *, has_history: bool = False) -> Sheet:
    """Return ``document`` in the words of ``language``.

    ``has_history``: its payments are listed below it, so it does not say them as well.
    """
    with force_locale(language):
        shown = replace(document, paid=()) if has_history else document
        writer = _Writer(document, formats.writing_locale(language), language)
        return replace(writer.sheet(), notes=tuple(writer.notes(shown)))


def title(document: Document) -> str:
    """Return what the document is called, in the current language."""
    if document.kind == "credit_note":
        return _("Credit note %(number)s", number=document.number)
    return _("Invoice %(number)s", number=document.number)


@dataclass(frozen=True, slots=True)
class _Writer:
    document: Document
    locale: Locale
    language: str

    @property
    def names_vat(self) -> bool:
        """Whether its tax is called VAT, by where it goes; where no country is kept as well."""
        document = self.document
        for of in (document.ship_to, document.buyer, document.seller):
            if of.get("country"):
                return names_vat(of["country"])
        return True

    def sheet(self) -> Sheet:
        document = self.document
        seller = document.seller
        return Sheet(
            title=title(document),
            language=self.language.replace("_", "-"),
            created=datetime.combine(document.on, time(12), UTC),
            brand=rgb_of(_LIGHTNESS, seller.get("chroma", 0) / 1000, seller.get("hue", 0)),
            shop=seller.get("shop") or seller.get("name", ""),
            seller=tuple(self._seller()),
            sender=" · ".join([seller.get("name", ""), *seller.get("address", "").splitlines()]),
            recipient=tuple(self._recipient()),
            facts=tuple(self._facts()),
            headings=(
                _("What"),
                _("Quantity"),
                _("Unit price"),
                _("VAT") if self.names_vat else _("Tax"),
                _("Net"),
                _("Amount"),
            ),
            lines=tuple(self._lines()),
            sums=tuple(self._sums()),
            notes=(),
            footer=tuple(seller.get("footer", "").splitlines()),
        )

    def _seller(self) -> Iterator[str]:
        seller = self.document.seller
        yield seller.get("name", "")
        yield from seller.get("address", "").splitlines()
        if seller.get("country"):
            yield self._country(seller["country"])
        if seller.get("email"):
            yield seller["email"]
        if seller.get("tax_id"):
            number = seller["tax_id"]
            if seller.get("country") and not names_vat(seller["country"]):
                yield _("Tax number %(number)s", number=number)
            else:
                yield _("VAT number %(number)s", number=number)

    def _recipient(self) -> Iterator[str]:
        buyer, ship_to = self.document.buyer, self.document.ship_to
        yield buyer.get("name") or ship_to.get("name", "")
        yield from self._address(buyer if buyer.get("street") else ship_to)

    def _address(self, of: Mapping[str, Any]) -> Iterator[str]:
        yield from address_lines({**of, "name": ""})
        if of.get("country"):
            yield self._country(of["country"])

    def _country(self, code: str) -> str:
        return str(self.locale.territories.get(code, code))

    def _facts(self) -> Iterator[tuple[str, str]]:
        document = self.document
        yield _("Date"), self._day(document.on)
        if document.kind == "credit_note" and document.invoice_on:
            yield _("For invoice"), document.invoice_number
            yield _("Invoice of"), self._day(document.invoice_on)
            yield _("Reason"), _reason(document.reason)
        if document.period:
            yield _("Supply period"), self._days(*document.period)
        if document.tax_point_on != document.on and document.kind == "invoice":
            yield _("Tax point"), self._day(document.tax_point_on)
        if document.kind == "invoice" and document.due.minor:
            yield _("Due"), self._day(document.due_on)
        if document.buyer.get("tax_id"):
            yield _("Your VAT number"), document.buyer["tax_id"]
        if self._goes_elsewhere():
            ship_to = document.ship_to
            yield (
                _("Delivered to"),
                "\n".join(filter(None, [ship_to.get("name", ""), *self._address(ship_to)])),
            )

    def _goes_elsewhere(self) -> bool:
        buyer, ship_to = self.document.buyer, self.document.ship_to
        if not ship_to.get("street"):
            return False
        has_own = bool(buyer.get("street"))
        other = has_own and [*self._address(buyer)] != [*self._address(ship_to)]
        return other or bool(ship_to.get("name") and ship_to["name"] != buyer.get("name"))

    def _lines(self) -> Iterator[SheetLine]:
        """Yield the lines; those of several boxes box by box, under what each comes to."""
        groups = groups_of(self.document.lines)
        for number, group in enumerate(groups, start=1):
            if len(groups) > 1:
                text = _("Box %(number)s: %(plan)s", number=number, plan=group.plan)
                yield SheetLine(text, (), ("", "", "", "", self._money(group.total)), is_head=True)
            for line in group.lines:
                yield self._line(line)

    def _line(self, line: DocumentLine) -> SheetLine:
        notes = []
        if line.lowers:
            notes.append(_("lowers: %(line)s", line=line_name(*line.lowers)))
        if line.first and line.last and (line.first, line.last) != self.document.period:
            notes.append(self._days(line.first, line.last))
        if line.part_of:
            notes.append(_("a part of %(sum)s", sum=self._money(line.part_of)))
        return SheetLine(
            line_name(line.kind, line.text),
            tuple(notes),
            (
                # Quantity times unit price is all of the line, not the part that goes back.
                "" if line.part_of else formats.number(line.quantity, self.locale),
                "" if line.part_of else self._money(line.unit),
                formats.percent(line.rate.normalize(), self.locale),
                self._money(line.net),
                self._money(line.gross),
            ),
        )

    def _sums(self) -> Iterator[tuple[str, str, bool]]:
        document = self.document
        yield _("Net"), self._money(document.net), False
        for rate, net, tax in document.taxes:
            percent = formats.percent(rate.normalize(), self.locale)
            values = {"rate": percent, "net": self._money(net)}
            label = (
                _("%(rate)s VAT on %(net)s", **values)
                if self.names_vat
                else _("%(rate)s tax on %(net)s", **values)
            )
            yield label, self._money(tax), False
        total = _("Total credited") if document.kind == "credit_note" else _("Total")
        yield total, self._money(document.total), True
        rest = [
            (_("Account credit used"), document.applied),
            (_("Taken back by credit note"), document.credited),
            *((_("Paid"), payment.amount) for payment in document.paid),
        ]
        taken = [(label, amount) for label, amount in rest if amount.minor]
        for label, amount in taken:
            yield label, self._money(-amount), False
        if document.kind == "invoice" and (taken or document.due.minor):
            yield _("Still due"), self._money(document.due), True

    def notes(self, document: Document) -> Iterator[tuple[str, ...]]:
        """Yield what stands under the sums."""
        treated = _treatment(document.tax_treatment, names_vat=self.names_vat)
        if treated:
            yield (treated,)
        if document.kind == "credit_note":
            yield (_goes(document.to, document.invoice_number),)
            return
        for payment in document.paid:
            yield (self._paid(payment),)
        if document.carried.minor:
            yield (
                _(
                    "%(sum)s is too little to be charged alone. "
                    "It is asked for with a later invoice.",
                    sum=self._money(document.carried),
                ),
            )
        if document.due.minor:
            yield from self._payable()

    def _paid(self, payment: Payment) -> str:
        day = self._day(payment.on)
        if not payment.last4 and not payment.brand:
            return _("Paid by bank transfer on %(day)s.", day=day)
        if not payment.last4:
            way = proper_name(payment.brand)
            return _("Paid with %(way)s on %(day)s.", way=way, day=day)
        return _(
            "Paid with %(brand)s ending %(last4)s on %(day)s.",
            brand=payment.brand.title(),
            last4=payment.last4,
            day=day,
        )

    def _payable(self) -> Iterator[tuple[str, ...]]:
        document = self.document
        due = {"sum": self._money(document.due), "day": self._day(document.due_on)}
        if document.pay_by != "bank":
            # Whatever a bank answered: paper says the same on every day.
            yield (
                _(
                    "%(sum)s is due on %(day)s. It is paid by card; in your account you can pay it "
                    "at any time.",
                    **due,
                ),
            )
            return
        yield (_("Please pay %(sum)s by %(day)s.", **due),)
        bank = document.seller.get("bank", "").splitlines()
        if bank:
            yield (*bank, _("Reference: %(number)s", number=document.number))

    def _money(self, value: Money) -> str:
        return formats.money(value, self.locale)

    def _day(self, value: date) -> str:
        return formats.table_day(value, self.locale)

    def _days(self, first: date, last: date) -> str:
        if first == last:
            return self._day(first)
        return f"{self._day(first)} {formats.EN_DASH} {self._day(last)}"


_OF_DELIVERY = (LineKind.SHIPPING, LineKind.PRORATION_CREDIT, LineKind.PRORATION_CHARGE)


def line_name(kind: LineKind, text: str) -> str:
    """Return what a line says; plan, option and add-on say it themselves.

    Delivery has no text of its own, nor has the part of it that a change takes back or charges.
    """
    if kind in _OF_DELIVERY:
        text = text or _("Delivery")
    if kind is LineKind.SIGN_UP_FEE:
        return _("Sign-up fee: %(plan)s", plan=text)
    if kind is LineKind.DISCOUNT:
        return _("Discount %(code)s", code=text)
    if kind is LineKind.PRORATION_CREDIT:
        return _("Not used: %(plan)s", plan=text)
    return text


def _treatment(code: str, *, names_vat: bool) -> str:
    return {
        "reverse_charge": _("Reverse charge: the recipient owes the VAT."),
        "exempt": _("Exempt from VAT.") if names_vat else _("Exempt from tax."),
        "export": _("Tax-free export."),
    }.get(code, "")


def _goes(to: str, invoice: str) -> str:
    """Return where the money of a credit note goes."""
    return {
        "card": _("The amount goes back to the card that paid."),
        "credit": _("The amount was added to your account credit."),
        "bank": _("The amount goes back by bank transfer."),
    }.get(to) or _("It lowers what is due on invoice %(number)s.", number=invoice)


def _reason(code: str) -> str:
    return {
        "void": _("Invoice withdrawn"),
        "refund": _("Refund"),
        "cancellation": _("Cancellation"),
        "change": _("Change of plan"),
        "pause": _("Pause"),
        "goodwill": _("Goodwill"),
        "wrong_price": _("Corrected price"),
    }.get(code, code)
