"""Boxes in which a product has run out or is not tolerated: how packed, what goes back, the mail.

All in the transaction of the lock, so a box is credited when it is packed, and only then.
Source: docs/decisions/0183-when-a-product-is-short.md, 0203-not-tolerated.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind
from storefront.domain.invoices import DEFERRED_KINDS, CreditReason, LineKind
from storefront.domain.money import split_minor
from storefront.domain.packing import StockBook
from storefront.domain.refunds import Refundable, Way, refundables, spread
from storefront.domain.repaying import draw, most_of
from storefront.domain.shortages import Gap, Policy, Rule, Solved, solve
from storefront.models import (
    BoxShortage,
    CreditNote,
    Invoice,
    InvoiceLine,
    Product,
    ProductVariant,
    ShortageRule,
)
from storefront.models.base import table_of
from storefront.operations.choices import avoided_by
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of

#: Lines that pay for what is in a box by its recipe.
_CONTENTS = frozenset({LineKind.PLAN, LineKind.OPTION})


@dataclass(frozen=True, slots=True)
class Credit:
    """What the payer of a box gets back for what it lacks; ``note`` 0: nothing was paid."""

    minor: int = 0
    note: int = 0
    #: Public ids, and whose money it is.
    note_ref: str = ""
    invoice_ref: str = ""
    payer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Short:
    """A packed box that lacks something."""

    row: AnyRow
    solved: Solved
    credit: Credit


@dataclass(slots=True)
class Shortages:
    """The rules for a slice of boxes, and the boxes that were packed by them."""

    rules: Mapping[int, Rule] = field(default_factory=dict)
    #: Currency of the values in ``rules``, by variant.
    currencies: Mapping[int, str] = field(default_factory=dict)
    allergens: Mapping[int, frozenset[str]] = field(default_factory=dict)
    avoided: Mapping[int, frozenset[str]] = field(default_factory=dict)
    boxes: dict[int, Short] = field(default_factory=dict)

    @property
    def substitutes(self) -> set[int]:
        """What may go in instead of something."""
        return {one.substitute for one in self.rules.values() if one.substitute is not None}

    def bars(self, row: AnyRow, contents: Sequence[tuple[int, int]]) -> bool:
        """Return whether something in ``contents`` is not tolerated by who gets the box."""
        barred = self._barred(row)
        return any(variant in barred for variant, _pieces in contents)

    def _barred(self, row: AnyRow) -> set[int]:
        avoided = self.avoided.get(row.subscription_id, frozenset())
        return {key for key, words in self.allergens.items() if words & avoided}

    def pack(
        self,
        session: AnySession,
        row: AnyRow,
        fixed: Sequence[tuple[int, int]],
        others: Sequence[tuple[int, int]],
        book: StockBook,
        moment: Moment,
    ) -> list[tuple[int, int]] | None:
        """Return what the box holds by the rules, taken from ``book``; None: it has to wait.

        What was left out is credited here.
        """
        if not self.rules or row.kind is BoxKind.REPLACEMENT:
            return None
        solved = solve(fixed, others, self.rules, book, self._barred(row))
        if solved is None:
            return None
        credit = Credit()
        if solved.value:
            dropped = {gap.variant for gap in solved.gaps if gap.value}
            if {self.currencies[key] for key in dropped} != {row.currency}:
                return None
            found = give_credit(session, row, solved.value, moment)
            if found is None:
                return None
            credit = found
        book.take(solved.contents)
        self.boxes[row.id] = Short(row, solved, credit)
        return list(solved.contents)

    def origins(self, box_id: int) -> dict[int, str]:
        """Return the variants that are in the box instead of others, as ``box_item.origin``."""
        short = self.boxes.get(box_id)
        gaps = short.solved.gaps if short else ()
        return {gap.substitute: "substitute" for gap in gaps if gap.substitute is not None}

    def words(self, box_id: int, names: Mapping[int, str]) -> dict[str, Any]:
        """Return what the slip of the box says: name, what is instead, whether it is credited.

        Nothing of the money of somebody else who paid.
        """
        short = self.boxes.get(box_id)
        if short is None:
            return {}
        credit = short.credit
        is_told = credit.minor > 0 and credit.payer_id == short.row.customer_id
        return {
            "lacks": [
                [
                    names[gap.variant],
                    names.get(gap.substitute or 0, ""),
                    is_told and gap.value > 0,
                    *([] if gap.ran_out else [True]),
                ]
                for gap in short.solved.gaps
            ]
        }


def read_shortages(
    session: AnySession, variant_ids: Iterable[int], subscription_ids: Iterable[int]
) -> Shortages:
    """Return the rules of the variants, and which of them are not tolerated by whom.

    Two statements where there are no rules and nobody avoids anything.
    """
    wanted = set(variant_ids)
    rule, variant = table_of(ShortageRule), table_of(ProductVariant)
    rows = session.execute(
        sa.select(rule, variant.c.price_minor, variant.c.currency)
        .join(variant, variant.c.id == rule.c.variant_id)
        .where(rule.c.variant_id.in_(wanted))
    ).all()
    rules = {
        row.variant_id: Rule(Policy(row.policy), row.substitute_id, row.price_minor) for row in rows
    }
    found = Shortages(
        rules,
        {row.variant_id: row.currency for row in rows},
        avoided={
            key: words for key, words in avoided_by(session, subscription_ids).items() if words
        },
    )
    if found.avoided:
        _read_allergens(session, found, wanted | found.substitutes)
    return found


def may_credit(session: AnySession, boxes: int) -> bool:
    """Return whether so many boxes may run out of something that is dropped and credited then."""
    rule, variant = table_of(ShortageRule), table_of(ProductVariant)
    short = (
        sa.select(rule.c.id)
        .join(variant, variant.c.id == rule.c.variant_id)
        .where(rule.c.policy == Policy.DROP.value, variant.c.on_hand < boxes)
    )
    return session.scalar(short.limit(1)) is not None


def _read_allergens(session: AnySession, found: Shortages, variant_ids: set[int]) -> None:
    """Note which variants somebody of ``found`` avoids; those without a rule have a value."""
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(variant.c.id, variant.c.price_minor, variant.c.currency, product.c.allergens)
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(variant_ids))
    )
    words = {word for own in found.avoided.values() for word in own}
    rules, currencies = dict(found.rules), dict(found.currencies)
    allergens = {}
    for row in rows:
        allergens[row.id] = frozenset(row.allergens) & words
        if allergens[row.id] and row.id not in rules:
            rules[row.id] = Rule(Policy.HOLD, value=row.price_minor)
            currencies[row.id] = row.currency
    found.rules, found.currencies, found.allergens = rules, currencies, allergens


def give_credit(
    session: AnySession, row: AnyRow, value: int, moment: Moment, *, is_whole: bool = False
) -> Credit | None:
    """Credit ``value`` on the lines that paid for the box, never more than the box cost.

    A product is credited on what the box itself cost, without delivery and add-ons: nothing
    where that was free. ``is_whole``: the box stays here, and every line that paid for a part
    of it gives back its share with its own tax. None where that cannot be done now: it is not
    paid yet, the bank has the money, or it was paid with earlier invoices. Then somebody has to
    decide, so the box waits.
    """
    paid = row.net_minor + row.tax_minor
    if not paid:
        return Credit()
    facts = _paid_with(session, row.invoice_line_id)
    if facts is None or facts.is_disputed:
        return None
    groups = _paying_for(facts, row.invoice_line_id)
    whole = sum(one.paid for one in groups)
    if not is_whole:
        groups = [one for one in groups if one.head.kind in _CONTENTS]
        share = paid * sum(one.paid for one in groups) // whole if whole else paid
        if not share and whole:
            return Credit()
        paid = share
    amount, lefts = min(value, paid), [one.left for one in groups]
    own = sources_of(facts, Way.CREDIT)[:1]
    if min(sum(lefts), most_of(own)) < amount:
        return None
    shares = split_minor(amount, lefts) if is_whole else spread(amount, lefts)
    wanted = {one.head.id: part for one, part in zip(groups, shares, strict=True) if part}
    parts = draw(own, wanted)
    invoice = facts.invoice
    ref = give_parts_back(session, facts, parts, Way.CREDIT, CreditReason.REFUND, moment)[0]
    note = table_of(CreditNote)
    key = session.execute(sa.select(note.c.id).where(note.c.public_id == ref)).scalar_one()
    return Credit(amount, key, ref, invoice.public_id, invoice.payer_id)


def _paying_for(facts: RefundFacts, line_id: int) -> list[Refundable]:
    """Return what paid for the boxes of the line's period, the line itself first.

    As ``settling.paid_period`` shares it out over them.
    """
    period = next(one.period_id for one in facts.lines if one.id == line_id)
    mine, beside = [], []
    for one in refundables(facts.lines):
        if line_id in {each.id for each in one.members}:
            mine.append(one)
        elif period is not None and one.head.period_id == period:
            beside += [one] if one.head.kind in DEFERRED_KINDS else []
    return mine + beside


def _paid_with(session: AnySession, line_id: int | None) -> RefundFacts | None:
    """Return the paid invoice of the line, locked; None while it is not paid."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    ref = session.scalar(
        sa.select(invoice.c.public_id)
        .join(line, line.c.invoice_id == invoice.c.id)
        .where(line.c.id == line_id)
    )
    if ref is None:
        return None
    try:
        return read_refund(session, ref, for_update=True)
    except LookupError:
        return None


def write_shortages(
    session: AnySession, boxes: Sequence[Short], names: Mapping[int, str], moment: Moment
) -> None:
    """Note what the packed boxes lack, and tell their subscribers, once per box."""
    if not boxes:
        return
    rows = []
    for one in boxes:
        gaps, credit = one.solved.gaps, one.credit
        values = [gap.value for gap in gaps]
        shares = split_minor(credit.minor, values) if credit.minor else [0] * len(gaps)
        rows += [
            {
                "box_id": one.row.id,
                "variant_id": gap.variant,
                "quantity": gap.pieces,
                "substitute_id": gap.substitute,
                "ran_out": gap.ran_out,
                "credit_minor": share,
                "credit_note_id": credit.note or None if share else None,
            }
            for gap, share in zip(gaps, shares, strict=True)
        ]
    session.execute(sa.insert(table_of(BoxShortage)), rows)
    enqueue(session, [mail for one in boxes for mail in _mails(one, names)], moment.now)


def _mails(one: Short, names: Mapping[int, str]) -> list[Message]:
    """Return the mail about the box; of the money only who paid is told."""
    row, credit, gaps = one.row, one.credit, one.solved.gaps
    mails = []
    is_own = credit.payer_id == row.customer_id
    if row.customer_id is not None:
        payload = {
            "box": row.public_id,
            "lacks": [_named(gap, names) for gap in gaps if gap.ran_out],
            "unwanted": [_named(gap, names) for gap in gaps if not gap.ran_out],
            "credit_minor": credit.minor if is_own else 0,
            "currency": row.currency,
        }
        key = f"mail:box_short:{row.public_id}"
        mails.append(Message("mail", "box_short", key, payload, row.customer_id))
    if credit.minor and not is_own:
        mails.append(mail_of_credit(credit, row.currency))
    return mails


def _named(gap: Gap, names: Mapping[int, str]) -> list[str]:
    return [names[gap.variant], names.get(gap.substitute or 0, "")]


def mail_of_credit(credit: Credit, currency: str) -> Message:
    """Return the mail to who paid for a box that somebody else gets."""
    payload = {
        "invoice": credit.invoice_ref,
        "credit_note": credit.note_ref,
        "way": Way.CREDIT.value,
        "amount_minor": credit.minor,
        "currency": currency,
    }
    key = f"mail:refunded:{credit.note_ref}"
    return Message("mail", "refunded", key, payload, credit.payer_id)
