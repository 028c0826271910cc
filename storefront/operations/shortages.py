"""Boxes in which a product has run out or is not tolerated: how packed, what goes back, the mail.

All in the transaction of the lock, so a box is credited when it is packed, and only then.
Source: docs/decisions/0183-when-a-product-is-short.md, 0203-not-tolerated.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind
from storefront.domain.invoices import CreditReason, LineKind
from storefront.domain.money import split_minor
from storefront.domain.packing import RecipeFacts, StockBook
from storefront.domain.refunds import Refundable, Way, refundables
from storefront.domain.repaying import draw, most_of
from storefront.domain.shortages import Gap, Policy, Rule, Solved, solve
from storefront.models import (
    BoxShortage,
    Invoice,
    InvoiceLine,
    Product,
    ProductVariant,
    ShortageRule,
)
from storefront.models.base import table_of
from storefront.operations.box_states import WaitsFor
from storefront.operations.box_worth import (
    BoxWorth,
    credited_before,
    in_order,
    paying_for,
    shared_out,
)
from storefront.operations.choices import avoided_by, sent_to
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of
from storefront.operations.shortage_credits import (
    Credit,
    credit_of_note,
    give_owed,
    owed_for,
)

#: Lines that pay for what is in a box by its recipe; after a change of plan one line says all.
_CONTENTS = frozenset({LineKind.PLAN, LineKind.OPTION, LineKind.PRORATION_CHARGE})


@dataclass(frozen=True, slots=True)
class Short:
    """A packed box that lacks something."""

    row: AnyRow
    solved: Solved
    #: For what the price of the box paid for, all of it together.
    credit: Credit
    #: For add-ons, by variant.
    apart: Mapping[int, Credit] = field(default_factory=dict)

    @property
    def credits(self) -> tuple[Credit, ...]:
        """Everything that went back, a note each."""
        return tuple(one for one in (self.credit, *self.apart.values()) if one.minor)

    def of(self, customer_id: int | None) -> int:
        """What of it is that customer's, in minor units."""
        return sum(one.minor for one in self.credits if one.payer_id == customer_id)

    def is_credited(self, gap: Gap) -> bool:
        """Return whether something went back for ``gap`` to who gets the box."""
        given = self.apart.get(gap.variant, self.credit if gap.value else Credit())
        return given.minor > 0 and given.payer_id == self.row.customer_id


@dataclass(slots=True)
class Shortages:
    """The rules for a slice of boxes, and the boxes that were packed by them."""

    rules: Mapping[int, Rule] = field(default_factory=dict)
    #: Currency of the values in ``rules``, by variant.
    currencies: Mapping[int, str] = field(default_factory=dict)
    allergens: Mapping[int, frozenset[str]] = field(default_factory=dict)
    avoided: Mapping[int, frozenset[str]] = field(default_factory=dict)
    #: Plans whose rule sends nothing twice, and what was sent, by subscription.
    fresh_plans: AbstractSet[int] = frozenset()
    sent: Mapping[int, Mapping[int, date]] = field(default_factory=dict)
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
        beside: Mapping[int, int] = MappingProxyType({}),
    ) -> list[tuple[int, int]] | None:
        """Return what the box holds by the rules, taken from ``book``; None: it has to wait.

        ``beside`` are the add-ons among ``others``, paid for apart. What was left out is
        credited here.
        """
        rules = self.rules
        if row.kind is BoxKind.REPLACEMENT:
            # Nothing was paid for it alone, so nothing is left out of it.
            rules = {key: one for key, one in rules.items() if one.policy is Policy.SUBSTITUTE}
        if not rules:
            return None
        repeated = frozenset(self.sent.get(row.subscription_id, ()))
        not_again = repeated if row.plan_id in self.fresh_plans else frozenset()
        solved = solve(fixed, others, rules, book, self._barred(row), not_again)
        if solved is None:
            return None
        left_out = [gap.variant for gap in solved.gaps if gap.by_name and gap.substitute is None]
        apart = [key for key in left_out if key in beside]
        if any(dict(others)[key] != beside[key] for key in apart):
            # Some of it was an add-on and some was chosen: nobody can say which is missing.
            return None
        if any(self.rules[key].value is None for key in left_out if key not in beside):
            return None
        return self._settle(session, row, _without_value(solved, apart), book, moment, beside)

    def _settle(
        self,
        session: AnySession,
        row: AnyRow,
        solved: Solved,
        book: StockBook,
        moment: Moment,
        beside: Mapping[int, int],
    ) -> list[tuple[int, int]] | None:
        """Take the pieces and credit what was left out; None where that cannot be done now."""
        owed = {
            gap.variant: owed_for(session, row, gap.variant, gap.pieces, beside.get(gap.variant, 0))
            for gap in solved.gaps
            if gap.by_name and gap.substitute is None and not gap.value
        }
        dropped = {gap.variant for gap in solved.gaps if gap.value}
        wrong = dropped and {self.currencies[key] for key in dropped} != {row.currency}
        if wrong or None in owed.values():
            return None
        credit = give_credit(session, row, solved.value, moment) if solved.value else Credit()
        if credit is None:
            return None
        apart = {key: give_owed(session, one, row.id, moment) for key, one in owed.items() if one}
        book.take(solved.contents)
        self.boxes[row.id] = Short(row, solved, credit, apart)
        return list(solved.contents)

    def origins(self, box_id: int) -> dict[int, str]:
        """Return the variants that are in the box instead of others, as ``box_item.origin``."""
        short = self.boxes.get(box_id)
        gaps = short.solved.gaps if short else ()
        return {gap.substitute: "substitute" for gap in gaps if gap.substitute is not None}

    def waits_for(
        self,
        row: AnyRow,
        contents: Sequence[tuple[int, int]],
        book: StockBook,
        names: Mapping[int, str],
    ) -> list[WaitsFor]:
        """Return what a box that has to wait lacks, as ``hold_boxes`` notes it."""
        barred, found = self._barred(row), []
        for variant, pieces in contents:
            left, rule = book.left(variant), self.rules.get(variant)
            if left is None or left >= pieces:
                continue
            other = rule.substitute if rule is not None else None
            others = [names.get(other or 0, ""), other in barred]
            found.append([names[variant], pieces - max(0, left), *others])
        return found

    def words(self, box_id: int, names: Mapping[int, str]) -> dict[str, Any]:
        """Return what the slip of the box says: name, what is instead, whether it is credited.

        Nothing of the money of somebody else who paid.
        """
        short = self.boxes.get(box_id)
        if short is None:
            return {}
        return {
            "lacks": [
                [
                    names[gap.variant],
                    names.get(gap.substitute or 0, ""),
                    short.is_credited(gap),
                    *([] if gap.ran_out else [True]),
                ]
                for gap in short.solved.gaps
            ]
        }


def read_shortages(
    session: AnySession,
    variant_ids: Iterable[int],
    subscription_ids: Iterable[int],
    cycle_id: int,
    fresh: AbstractSet[int] = frozenset(),
) -> Shortages:
    """Return the rules of the variants, and which of them are not tolerated by whom.

    The plans ``fresh`` send nothing twice, so no substitute that was sent before either.
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
    if fresh and found.substitutes:
        found.fresh_plans = fresh
        found.sent = sent_to(session, set(subscription_ids), found.substitutes, at=cycle_id)
    return found


def fresh_plans(recipes: Mapping[int, Sequence[RecipeFacts]]) -> set[int]:
    """Return the plans with a recipe that sends nothing twice."""
    return {
        plan
        for plan, own in recipes.items()
        if any(one.rule is not None and one.rule.never_repeats for one in own)
    }


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
    session: AnySession, row: AnyRow, value: int, moment: Moment, whole_box: BoxWorth | None = None
) -> Credit | None:
    """Credit ``value`` on the lines that paid for the box, never more than the box cost.

    A product is credited on what the box itself cost, without delivery and add-ons: nothing
    where that was free. ``whole_box``: the box stays here, and every line that paid for a part
    of it gives back its share with its own tax. None where that cannot be done now: it is not
    paid yet, the bank has the money, or it was paid with earlier invoices. Then somebody has to
    decide, so the box waits.
    """
    paid = row.net_minor + row.tax_minor if whole_box is None else whole_box.minor
    if not paid:
        return Credit()
    facts = _paid_with(session, row.invoice_line_id)
    if facts is None or facts.is_disputed:
        return None
    groups = paying_for(facts, refundables(facts.lines), row.invoice_line_id)
    if whole_box is None:
        paid, groups = _of_contents(paid, groups)
        given = credited_before(session, [row.id])[row.id]
        paid = min(paid, row.net_minor + row.tax_minor - given)
        if paid <= 0:
            return Credit()
    amount = min(value, paid)
    if whole_box is None:
        wanted = in_order(amount, groups)
    else:
        wanted = shared_out(amount, groups, whole_box)
    own = sources_of(facts, Way.CREDIT)[:1]
    if wanted is None or most_of(own) < amount:
        return None
    parts, reason = draw(own, wanted), CreditReason.REFUND
    ref = give_parts_back(session, facts, parts, Way.CREDIT, reason, moment, row.id)[0]
    return credit_of_note(session, facts, ref, amount)


def _of_contents(paid: int, groups: Sequence[Refundable]) -> tuple[int, list[Refundable]]:
    """Return what of the price of a box paid for its contents, and the lines that did."""
    whole = sum(one.paid for one in groups)
    own = [one for one in groups if one.head.kind in _CONTENTS]
    return paid * sum(one.paid for one in own) // whole if whole else paid, own


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
    rows = [row for one in boxes for row in _rows_of(one)]
    session.execute(sa.insert(table_of(BoxShortage)), rows)
    enqueue(session, [mail for one in boxes for mail in _mails(one, names)], moment.now)


def _rows_of(one: Short) -> list[dict[str, Any]]:
    """Return what is noted of a box: each lack with its part of the one note that credited it."""
    gaps, credit = one.solved.gaps, one.credit
    values = [gap.value for gap in gaps]
    shares = split_minor(credit.minor, values) if credit.minor else [0] * len(gaps)
    rows = []
    for gap, share in zip(gaps, shares, strict=True):
        given = one.apart.get(gap.variant)
        minor, note = (given.minor, given.note) if given else (share, credit.note)
        rows.append(
            {
                "box_id": one.row.id,
                "variant_id": gap.variant,
                "quantity": gap.pieces,
                "substitute_id": gap.substitute,
                "ran_out": gap.ran_out,
                "credit_minor": minor,
                "credit_note_id": note or None if minor else None,
            }
        )
    return rows


def _mails(one: Short, names: Mapping[int, str]) -> list[Message]:
    """Return the mail about the box; of the money only who paid is told."""
    row, gaps = one.row, one.solved.gaps
    mails = []
    if row.customer_id is not None:
        payload = {
            "box": row.public_id,
            "lacks": [_named(gap, names) for gap in gaps if gap.ran_out],
            "unwanted": [_named(gap, names) for gap in gaps if not gap.ran_out],
            "credit_minor": one.of(row.customer_id),
            "currency": row.currency,
        }
        key = f"mail:box_short:{row.public_id}"
        mails.append(Message("mail", "box_short", key, payload, row.customer_id))
    others = [credit for credit in one.credits if credit.payer_id != row.customer_id]
    return mails + [
        mail_of_credit(
            credit,
            row.currency,
            {"box": row.public_id, "left_out": _left_out(one, credit, names)},
        )
        for credit in others
    ]


def _left_out(one: Short, credit: Credit, names: Mapping[int, str]) -> list[str]:
    """Return the products that a credit is for."""
    return [
        names[gap.variant]
        for gap in one.solved.gaps
        if one.apart.get(gap.variant, one.credit if gap.value else None) == credit
    ]


def _without_value(solved: Solved, apart: Sequence[int]) -> Solved:
    """Return ``solved`` without the value of what was paid for apart."""
    gaps = [replace(gap, value=0) if gap.variant in apart else gap for gap in solved.gaps]
    return Solved(solved.contents, tuple(gaps))


def _named(gap: Gap, names: Mapping[int, str]) -> list[str]:
    return [names[gap.variant], names.get(gap.substitute or 0, "")]


def mail_of_credit(
    credit: Credit, currency: str, why: Mapping[str, Any] = MappingProxyType({})
) -> Message:
    """Return the mail to who paid for a box that somebody else gets, with what was left out."""
    payload = {
        "invoice": credit.invoice_ref,
        "credit_note": credit.note_ref,
        "way": Way.CREDIT.value,
        "amount_minor": credit.minor,
        "currency": currency,
        **why,
    }
    key = f"mail:refunded:{credit.note_ref}"
    return Message("mail", "refunded", key, payload, credit.payer_id)
