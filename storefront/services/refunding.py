"""Refund a paid invoice as staff decided: what was shown is what is done, once.

Credit note, the way of the money and what becomes of subscriptions and boxes are one
transaction. Source: docs/decisions/0094-refunds.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from storefront.domain.invoices import CreditReason, LineKind
from storefront.domain.lifecycle import BILLABLE, ENDED, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.refunds import (
    Afterwards,
    NothingToRefund,
    Refundable,
    RefundChanged,
    Way,
    WayNotOffered,
    refundables,
)
from storefront.domain.repaying import Part, draw, most_of
from storefront.domain.repaying import offered as offered_lines
from storefront.operations import audit
from storefront.operations.added_back import added_worth, open_boxes_of, take_out
from storefront.operations.audit import Who
from storefront.operations.invoices import content_hash
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.refund_boxes import RefundBox, boxes_of_refund
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of
from storefront.operations.returns import settle_refunded
from storefront.operations.stopping import cancel_boxes, stop_at_period_end, stop_now
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Wish:
    """What staff want: minor units by key of the line, the way, the reason, and afterwards."""

    amounts: Mapping[int, int]
    way: Way
    reason: CreditReason
    afterwards: Afterwards = Afterwards.KEEP
    #: Public id of the one box that it is for; empty: of none, or of several.
    box: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What of an invoice can go back now, and how."""

    invoice: str
    number: int
    payer: str
    currency: str
    lines: tuple[Refundable, ...]
    #: Way -> the most that goes back that way, in minor units.
    ways: Mapping[Way, int]
    afterwards: tuple[Afterwards, ...]
    #: Boxes that can be named, with what is left of each.
    boxes: tuple[RefundBox, ...] = ()

    @property
    def left(self) -> int:
        return sum(one.left for one in self.lines)


@dataclass(frozen=True, slots=True)
class RefundQuote:
    """What a refund does, before it is done."""

    invoice: str
    payer: str
    wish: Wish
    total: Money
    tax: Money
    #: Text of each line with what goes back of it.
    parts: tuple[tuple[str, Money], ...]
    #: Number of each earlier invoice with what goes back on the way that one was paid.
    earlier: tuple[tuple[int, Money], ...]
    #: Plan and last day not served of each subscription that ends.
    ends: tuple[tuple[str, date], ...]
    #: Ship days of boxes that are canceled; None where the day is not known yet.
    canceled: tuple[date | None, ...]
    #: What was paid apart for things in these boxes, which goes back beside ``total``.
    beside: Money
    #: Open boxes out of which is taken what this invoice put into them, all of it being refunded.
    emptied: int
    quote_hash: str


@dataclass(frozen=True, slots=True)
class _Plan:
    quote: RefundQuote
    parts: tuple[Part, ...]
    stopping: tuple[AnyRow, ...]
    boxes: tuple[AnyRow, ...]
    box_id: int | None


def offer(rt: Runtime, invoice: str) -> Offer:
    """Return what can go back. Raises ``LookupError`` for an invoice that is not paid."""
    facts = read_refund(rt.session, invoice)
    found = _offer(facts, rt.moment())
    found = replace(found, boxes=boxes_of_refund(rt.session, facts, found.lines))
    rt.session.rollback()
    return found


def quote_refund(rt: Runtime, invoice: str, wish: Wish) -> RefundQuote:
    """Say what ``refund`` would do now. Raises as it does."""
    facts = read_refund(rt.session, invoice)
    found = _plan(rt, facts, wish).quote
    rt.session.rollback()
    return found


def refund(
    rt: Runtime, who: Who, invoice: str, wish: Wish, shown: str, note: str = "", once: str = ""
) -> str:
    """Do it and return the credit note's public id; ``shown`` is the hash of what was shown.

    ``once`` names the preview: its second click returns the credit note of the first. Raises
    ``LookupError``, ``NothingToRefund``, ``RefundTooHigh``, ``WayNotOffered``, and
    ``RefundChanged`` when it would do something else by now.
    """

    def work() -> str:
        moment = rt.moment()
        facts = read_refund(rt.session, invoice, for_update=True)
        known = audit.done_before(rt.session, "invoice.refunded", invoice, once)
        if known is not None:
            rt.session.rollback()
            return str(known["credit_note"])
        plan = _plan(rt, facts, wish)
        if plan.quote.quote_hash != shown:
            rt.session.rollback()
            raise RefundChanged(invoice=invoice)
        done = give_parts_back(
            rt.session, facts, plan.parts, wish.way, wish.reason, moment, plan.box_id
        )
        public = done[0]
        if wish.afterwards is Afterwards.PERIOD_END:
            stop_at_period_end(rt.session, plan.stopping, who, moment)
        elif wish.afterwards is Afterwards.STOP_NOW:
            stop_now(rt.session, plan.stopping, who, moment, rt.minimums)
            cancel_boxes(rt.session, plan.boxes, who, moment)
        if plan.quote.emptied:
            take_out(rt.session, facts.invoice.id, moment)
        own = [row.id for row in facts.subscriptions]
        settle_refunded(rt.session, own, public, moment)
        _tell(rt, facts, plan, public, moment)
        _log(rt, who, invoice, plan, public, note, once, moment)
        rt.session.commit()
        return public

    return decide_again(rt.session, work)


def _offer(facts: RefundFacts, moment: Moment) -> Offer:
    lines = offered_lines(sources_of(facts, Way.CREDIT))
    ways = {way: most_of(sources_of(facts, way)) for way in _ways(facts)}
    running = [row for row in facts.subscriptions if SubscriptionState(row.state) not in ENDED]
    choices = [Afterwards.KEEP]
    if any(_can_run_out(row, moment) for row in running):
        choices.append(Afterwards.PERIOD_END)
    if running:
        choices.append(Afterwards.STOP_NOW)
    invoice = facts.invoice
    return Offer(
        invoice.public_id,
        invoice.number,
        invoice.payer,
        invoice.currency,
        lines,
        {way: most for way, most in ways.items() if most > 0},
        tuple(choices),
    )


_OPEN = ("planned", "sent", "action_required", "pending", "unknown")


def _ways(facts: RefundFacts) -> tuple[Way, ...]:
    if facts.is_disputed:
        return ()
    if facts.carried is None:
        return (Way.CARD, Way.CREDIT, Way.BANK)
    # A charge that is on its way asks for it already.
    is_asked = facts.carried.attempt_id is not None and facts.carried.attempt_state in _OPEN
    whole = facts.carried.amount_minor == sum(one.own for one in refundables(facts.lines))
    return (Way.CREDIT,) if is_asked or not whole else (Way.OPEN, Way.CREDIT)


def _can_run_out(row: AnyRow, moment: Moment) -> bool:
    """Its paid time has an end to wait for, and it is not ending anyway."""
    runs = SubscriptionState(row.state) in BILLABLE and row.cancel_on is None
    return runs and row.next_on > moment.today and not row.owes


def _plan(rt: Runtime, facts: RefundFacts, wish: Wish) -> _Plan:
    moment = rt.moment()
    offered = _offer(facts, moment)
    by_line = {one.head.id: one for one in offered.lines}
    chosen = [(key, minor) for key, minor in wish.amounts.items() if minor]
    if not chosen or any(key not in by_line for key, _minor in chosen):
        raise NothingToRefund(invoice=offered.invoice)
    total = sum(minor for _key, minor in chosen)
    if wish.way not in offered.ways:
        raise WayNotOffered(way=wish.way.value)
    if wish.way is Way.OPEN and total != offered.ways[Way.OPEN]:
        raise WayNotOffered(way=wish.way.value)
    box_id = _named(rt, facts, offered, wish.box)
    parts = draw(sources_of(facts, wish.way), dict(chosen))
    touched = {member.subscription_id for key, _minor in chosen for member in by_line[key].members}
    stopping, boxes = _consequences(facts, wish, touched, moment)
    by_end = wish.afterwards is Afterwards.PERIOD_END
    ends = tuple((row.plan, row.next_on if by_end else moment.today) for row in stopping)
    days = tuple(box.ship_from for box in boxes)
    beside = added_worth(rt.session, [box.id for box in boxes])
    emptied = _emptied(rt, facts, wish)
    said = {
        "invoice": offered.invoice,
        "credited": facts.invoice.credited_minor,
        "taken": [
            [part.invoice, one.line_id, one.gross, one.tax] for part in parts for one in part.taken
        ],
        "way": wish.way.value,
        "reason": wish.reason.value,
        "afterwards": wish.afterwards.value,
        "ends": [[row.id, day] for row, (_plan, day) in zip(stopping, ends, strict=True)],
        "boxes": [box.id for box in boxes],
        "beside": beside,
        "emptied": emptied,
        "box": wish.box,
    }
    quote = RefundQuote(
        offered.invoice,
        offered.payer,
        wish,
        Money(total, offered.currency),
        Money(sum(one.tax for part in parts for one in part.taken), offered.currency),
        tuple((by_line[key].head.text, Money(minor, offered.currency)) for key, minor in chosen),
        _earlier(facts, parts),
        ends,
        days,
        Money(beside, offered.currency),
        emptied,
        content_hash(said),
    )
    return _Plan(quote, parts, stopping, boxes, box_id)


def _named(rt: Runtime, facts: RefundFacts, offered: Offer, box: str) -> int | None:
    """Return the key of the box that the refund is for. Raises ``WayNotOffered``."""
    if not box:
        return None
    boxes = boxes_of_refund(rt.session, facts, offered.lines)
    found = next((one.id for one in boxes if one.public_id == box), None)
    if found is None:
        raise WayNotOffered(box=box)
    return found


def _emptied(rt: Runtime, facts: RefundFacts, wish: Wish) -> int:
    """Return the open boxes that lose what the invoice put into them, for all of it goes back.

    Goodwill, and a price that was wrong, take nothing out.
    """
    sold = [one for one in refundables(facts.lines) if one.head.kind is LineKind.ADDON]
    goes = all(wish.amounts.get(one.head.id, 0) == one.left for one in sold)
    if wish.reason is not CreditReason.REFUND or not sold or not goes:
        return 0
    return open_boxes_of(rt.session, facts.invoice.id)


def _earlier(facts: RefundFacts, parts: tuple[Part, ...]) -> tuple[tuple[int, Money], ...]:
    numbers = {one.invoice.id: one.invoice.number for one in facts.earlier}
    currency = facts.invoice.currency
    return tuple(
        (numbers[part.invoice], Money(part.total_minor, currency))
        for part in parts
        if part.invoice in numbers
    )


def _consequences(
    facts: RefundFacts, wish: Wish, touched: set[int | None], moment: Moment
) -> tuple[tuple[AnyRow, ...], tuple[AnyRow, ...]]:
    """Return the subscriptions that end and the boxes that are canceled with them."""
    if wish.afterwards is Afterwards.KEEP:
        return (), ()
    own = tuple(
        row
        for row in facts.subscriptions
        if row.id in touched and SubscriptionState(row.state) not in ENDED
    )
    by_end = wish.afterwards is Afterwards.PERIOD_END
    if by_end:
        # One that was cancelled before ends by itself.
        own = tuple(row for row in own if row.cancel_on is None)
    if not own or (by_end and not all(_can_run_out(row, moment) for row in own)):
        raise WayNotOffered(afterwards=wish.afterwards.value)
    if by_end:
        return own, ()
    keys = {row.id for row in own}
    return own, tuple(box for box in facts.boxes if box.subscription_id in keys)


def _tell(rt: Runtime, facts: RefundFacts, plan: _Plan, public: str, moment: Moment) -> None:
    payload = {
        "invoice": facts.invoice.public_id,
        "credit_note": public,
        "way": plan.quote.wish.way.value,
        "amount_minor": plan.quote.total.minor,
        "currency": plan.quote.total.currency,
    }
    message = Message(
        "mail", "refunded", f"mail:refunded:{public}", payload, facts.invoice.payer_id
    )
    enqueue(rt.session, [message], moment.now)


def _log(
    rt: Runtime,
    who: Who,
    invoice: str,
    plan: _Plan,
    public: str,
    note: str,
    once: str,
    moment: Moment,
) -> None:
    wish = plan.quote.wish
    after = {
        "credit_note": public,
        "amount_minor": plan.quote.total.minor,
        "currency": plan.quote.total.currency,
        "way": wish.way.value,
        "reason": wish.reason.value,
        "afterwards": wish.afterwards.value,
        "boxes_canceled": len(plan.boxes),
        **({"box": wish.box} if wish.box else {}),
        "note": note[:200],
        **({"once": once} if once else {}),
    }
    audit.write(rt.session, who.id, "invoice.refunded", invoice, {}, after, moment, who.ip)
