"""From the chosen plan to the gateway's page: begin, fill in, agree. ``finishing`` does the rest.

Everything typed is kept on the checkout row, so a second tab, the Back button or a lost
connection loses nothing. Nothing here moves money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront import charges, tax_desk, vaulting
from storefront.database import retrying
from storefront.domain.baskets import BasketQuote
from storefront.domain.card_testing import Asker, takes_cards
from storefront.domain.checkout import OrderQuote
from storefront.domain.gateways import Gateway, SetupOrder
from storefront.domain.gifts import GiftWish, NotGivable, problem_of_day
from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxIdState
from storefront.models import GatewaySetup
from storefront.models.base import table_of
from storefront.operations.beginning import Start, write_checkout
from storefront.operations.billing import parts_of
from storefront.operations.card_tries import break_of, note_try
from storefront.operations.checkout import (
    Market,
    Order,
    change_checkout,
    expires_at,
    find_checkout,
    read_order,
)
from storefront.operations.coupon_uses import give_back_uses, take_use
from storefront.operations.keys import AnyRow
from storefront.operations.places import take_places, wanted_of
from storefront.operations.setups import USABLE, Payer, limit_of, new_setup, payer_of_order
from storefront.paying import PaymentPartnerSilent
from storefront.runtime import Runtime

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The renewal consent as it was shown and ticked, and the quote it was shown with."""

    quote_hash: str
    text: str
    version: str
    ip: str
    user_agent: str
    #: Mails about offers, if they were ticked: the words, their version, and who was signed in.
    offers: tuple[str, str, int | None] | None = None
    #: The label of the button, and the words of the page between the terms' heading and it.
    button: str = ""
    page: str = ""
    #: That what is not tolerated may be kept, if something was named: the words, their version.
    health: tuple[str, str] | None = None


class Step(StrEnum):
    """How an order went on."""

    PAY = "pay"
    #: Nothing to pay and no payment method asked for: finish the order.
    FREE = "free"
    #: Another total, date or code than the shopper agreed to; ask again.
    CHANGED = "changed"
    INCOMPLETE = "incomplete"
    #: The order is being paid, is paid or has run out.
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    HELD = "held"
    #: Somebody else took the last place, or the last of what goes into the box.
    SOLD_OUT = "sold_out"
    #: Too many cards of this person or network address were declined; another one can wait.
    BREAK = "break"


@dataclass(frozen=True, slots=True)
class Placed:
    """``url`` is the gateway's page when ``step`` is PAY, ``until`` the end of a BREAK."""

    step: Step
    url: str = ""
    until: datetime | None = None


def start_checkout(rt: Runtime, start: Start) -> str:
    """Begin an order and return its public id, which is its address too."""

    def write() -> str:
        key, _id = write_checkout(rt.session, start, rt.now())
        rt.session.commit()
        return key

    return retrying(rt.session, write)


def change_delivery(
    rt: Runtime,
    key: str,
    email: str,
    address: Mapping[str, str],
    tax_id: tuple[str, TaxIdState] = ("", TaxIdState.NONE),
    avoids: Sequence[str] = (),
    billing: Mapping[str, str] | None = None,
) -> bool:
    """Take e-mail (normalised), address, a VAT number with its state, and what is not tolerated.

    ``billing`` is whom the invoice is made out to where it is not who gets the box.
    False when the order is no longer open. Raises ``LookupError`` for an unknown order.
    """
    number, state = tax_id
    values = {"tax_id": number, "tax_id_state": state.value, "avoids": sorted(set(avoids))}
    where = {"address": dict(address), "billing": parts_of(billing), "gift": {}}
    return _change(rt, key, {"email": email, **where, **values})


def change_gift(
    rt: Runtime, key: str, email: str, name: str, wish: GiftWish, avoids: Sequence[str] = ()
) -> bool:
    """Make the order a gift: e-mail (normalised) and name of the giver, and who gets it.

    ``avoids``: what they do not tolerate, as far as the giver knows, and where to send it.
    False when the order is no longer open. Raises ``LookupError`` for an unknown order, and
    ``NotGivable`` for a day in the past or too far ahead.
    """
    problem = problem_of_day(wish.send_on, rt.today())
    if problem:
        raise NotGivable(reason=problem)
    address = {"name": name, "country": wish.country}
    # Who says themselves where it goes says so too what they do not tolerate.
    avoided = sorted(set(avoids)) if wish.address else []
    values = {"tax_id": "", "tax_id_state": TaxIdState.NONE.value, "avoids": avoided}
    where = {"address": address, "billing": {}, "gift": wish.kept()}
    return _change(rt, key, {"email": email, **where, **values})


def _change(rt: Runtime, key: str, values: dict[str, Any]) -> bool:
    def write() -> bool | None:
        row = _found(rt, key)
        if row.state != "open":
            rt.session.rollback()
            return False
        changed = change_checkout(rt.session, row, {**values, "expires_at": expires_at(rt.now())})
        rt.session.commit()
        return True if changed else None

    return _until_written(rt, write)


def place_order(
    rt: Runtime,
    key: str,
    agreement: Agreement,
    *,
    gateway: str,
    return_url: str,
    cancel_url: str,
    asker: Asker | None = None,
) -> Placed:
    """Freeze quote and consent, reserve the coupon, and open the gateway's page.

    The set-up is on disk before the gateway is asked, and no transaction is open while it
    is. Repeating the same order leads to the same page. ``asker`` is who orders, for the count
    of declined cards; without, nothing is counted. Raises ``LookupError`` for an unknown order.
    """
    if not charges.may_charge(rt):
        return Placed(Step.HELD)
    offered = rt.gateways.get(gateway)
    if offered is None:
        return Placed(Step.UNREACHABLE)
    tax_desk.prepare_checkout(rt, key)
    frozen = _until_written(rt, lambda: _freeze(rt, key, agreement, offered, asker))
    if frozen.due is None or frozen.step is Step.FREE:
        return Placed(frozen.step, until=frozen.until)
    order = SetupOrder(
        reference=frozen.reference,
        return_url=return_url,
        cancel_url=cancel_url,
        amount=frozen.due if frozen.due.minor else None,
        merchant=rt.shop.name,
        description=key[:12],
        locale=frozen.locale,
        **asdict(frozen.payer),
        limit=frozen.limit,
    )
    try:
        return Placed(Step.PAY, vaulting.open_page(rt, offered, order))
    except PaymentPartnerSilent:
        return Placed(Step.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What was agreed and written; without ``due`` it was not, and ``step`` says why."""

    step: Step
    reference: str = ""
    due: Money | None = None
    locale: str = ""
    payer: Payer = field(default_factory=Payer)
    #: The most that one later charge is expected to take.
    limit: Money | None = None
    until: datetime | None = None


def _freeze(
    rt: Runtime, key: str, agreement: Agreement, gateway: Gateway, asker: Asker | None
) -> _Frozen | None:
    """Write what was agreed; None when somebody else changed the row meanwhile."""
    row = _found(rt, key)
    order = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    if not (order.needs_method and takes_cards(gateway.capabilities.kinds)):
        asker = None
    refused = _why_not(rt, order, agreement, asker)
    if refused is not None or order.quote is None:
        rt.session.rollback()
        return refused or _Frozen(Step.CHANGED)
    uses = [[one.coupon_id, one.promotion_code_id] for one in order.working]
    if not _reserve_uses(rt, row, uses):
        rt.session.rollback()
        return _Frozen(Step.CHANGED)
    if not take_places(rt.session, row.id, wanted_of(order.items), rt.moment()):
        rt.session.rollback()
        return _Frozen(Step.SOLD_OUT)
    needs_method = order.needs_method
    reference = ""
    if needs_method and gateway.name not in rt.sign_up_gateways(order.quote.due_today.currency):
        rt.session.rollback()
        return _Frozen(Step.UNREACHABLE)
    if needs_method:
        usable = _usable_setup(rt, row, order.quote, gateway)
        reference = usable or _new_setup(rt, row, gateway, asker)
    text = agreement.text
    values = {
        **_pinned(order),
        "quote": {
            **_kept(row.quote),
            **_summary(order, order.quote),
            "uses": uses,
            "setup": reference or None,
            "no_method": not needs_method,
        },
        "quote_hash": order.quote.quote_hash,
        "consent": {
            "text": text,
            "hash": sha256(text.encode()).hexdigest(),
            "version": agreement.version,
            "ip": agreement.ip[:45],
            "agent": agreement.user_agent[:255],
            "at": rt.now().isoformat(),
            "button": agreement.button,
            "page": agreement.page,
            **_offers(agreement),
            **_health(agreement),
        },
        "gateway": gateway.name,
        "expires_at": expires_at(rt.now()),
    }
    if not change_checkout(rt.session, row, values):
        rt.session.rollback()
        return None
    payer = payer_of_order(rt.session, row, gateway)
    rt.session.commit()
    step = Step.PAY if needs_method else Step.FREE
    limit = limit_of(order.quote)
    return _Frozen(step, reference, order.to_pay, row.locale, payer, limit)


def _new_setup(rt: Runtime, row: AnyRow, gateway: Gateway, asker: Asker | None) -> str:
    reference = new_setup(
        rt.session, gateway, rt.now(), customer_id=row.customer_id, checkout_id=row.id
    )
    if asker is not None:
        note_try(rt.session, reference, asker, rt.settings.secret_key, rt.now())
    return reference


def _offers(agreement: Agreement) -> dict[str, Any]:
    if agreement.offers is None:
        return {}
    text, version, customer = agreement.offers
    return {"offers": {"text": text, "version": version, "customer": customer}}


def _health(agreement: Agreement) -> dict[str, Any]:
    if agreement.health is None:
        return {}
    text, version = agreement.health
    return {"health": {"text": text, "version": version}}


def _pinned(order: Order) -> dict[str, Any]:
    """Return the columns that name the price version of each box, as they are agreed to."""
    wishes = [
        replace(item.wish, price_id=item.price.id) for item in order.items if item.price is not None
    ]
    return {"price_id": wishes[0].price_id, "more": [one.kept() for one in wishes[1:]]}


def _why_not(
    rt: Runtime, order: Order, agreement: Agreement, asker: Asker | None
) -> _Frozen | None:
    if order.checkout.state != "open":
        return _Frozen(Step.CLOSED)
    if not (order.has_box and order.has_delivery):
        return _Frozen(Step.INCOMPLETE)
    if order.quote is None or order.quote.quote_hash != agreement.quote_hash:
        return _Frozen(Step.CHANGED)
    if asker is None:
        return None
    until = break_of(rt.session, asker, rt.settings.secret_key, rt.shop.declines, rt.now())
    return _Frozen(Step.BREAK, until=until) if until is not None else None


def _kept(quote: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier try of this order has left behind and a later one needs."""
    return {
        name: quote[name]
        for name in ("owner", "document", "new_customer", "no_trial", "continues")
        if name in quote
    }


def _summary(order: Order, quote: BasketQuote) -> dict[str, Any]:
    """The quote in words that stay readable however the code changes."""
    return {
        "lines": [[line.text, line.amount.minor] for line in quote.document.lines],
        "currency": quote.due_today.currency,
        "due_minor": order.to_pay.minor,
        "credit_minor": order.credit.minor if order.credit else 0,
        "tax_minor": quote.document.tax.minor,
        "code": order.code.code if order.code and order.refused is None else None,
        "boxes": [_box_summary(item) for item in quote.items],
    }


def _box_summary(quote: OrderQuote) -> dict[str, Any]:
    free = quote.last_free_day
    return {
        "last_free_on": free.isoformat() if free else None,
        "due_minor": quote.due_today.minor,
        "full_minor": quote.full.quote.total.minor,
        "charges": [[charge.on.isoformat(), charge.amount.minor] for charge in quote.charges],
        "cutoff_on": quote.cycle.cutoff_on.isoformat() if quote.cycle else None,
        "ships_on": quote.cycle.ship_from.isoformat() if quote.cycle else None,
    }


def _reserve_uses(rt: Runtime, row: AnyRow, uses: list[list[int | None]]) -> bool:
    """Hold the uses of each discount for this order; False when the last of one is gone."""
    held = Counter(_use(each) for each in row.quote.get("uses", []))
    wanted = Counter(_use(each) for each in uses)
    for (coupon_id, code_id), number in sorted((wanted - held).items(), key=str):
        if not take_use(rt.session, coupon_id, code_id, number):
            return False
    give_back_uses(rt.session, (held - wanted).elements())
    return True


def _use(kept: Sequence[int | None]) -> tuple[int, int | None]:
    """Return coupon and code of a use as the order keeps it."""
    coupon_id, code_id = kept
    if coupon_id is None:
        raise ValueError("a use without a coupon")
    return coupon_id, code_id


def _usable_setup(rt: Runtime, row: AnyRow, quote: BasketQuote, gateway: Gateway) -> str | None:
    """Return the set-up of the same order and gateway that the shopper has not used yet."""
    reference = row.quote.get("setup")
    if reference is None or row.quote_hash != quote.quote_hash:
        return None
    table = table_of(GatewaySetup)
    found: str | None = rt.session.execute(
        sa.select(table.c.public_id).where(
            table.c.public_id == reference,
            table.c.gateway == gateway.name,
            table.c.account == gateway.account,
            table.c.state.in_(USABLE),
        )
    ).scalar_one_or_none()
    return found


def _found(rt: Runtime, key: str) -> AnyRow:
    row = find_checkout(rt.session, key, lock=True)
    if row is None:
        rt.session.rollback()
        raise LookupError(key)
    return row


def _until_written(rt: Runtime, work: Callable[[], T | None]) -> T:
    """Run ``work`` again while it says None: somebody else changed the row under it."""
    for _ in range(5):
        result = retrying(rt.session, work)
        if result is not None:
            return result
    raise RuntimeError("the order changed five times while it was written")
