"""Write running subscribers of another system: all rows of a batch in one transaction.

The number of statements does not depend on how many rows a batch has. Nothing is charged and
nobody is written to; the renewal run charges on the day that the file says.
Source: docs/decisions/0131-import-of-subscribers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from storefront.domain.boxes import boxes_per_period
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.domain.metrics import MovementKind
from storefront.domain.periods import Interval
from storefront.domain.recurring import PricedPeriod, price_period
from storefront.domain.subscriber_rows import SubscriberRow
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Address,
    Consent,
    Customer,
    PaymentMethod,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import public_id
from storefront.operations.bulk import insert_many, update_many
from storefront.operations.kept_methods import Card, described, keep_again
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.renewals import Claim, read_batch
from storefront.operations.subscriber_facts import Judged, Known, anchor_day_of, interval_of
from storefront.operations.terms import terms_of
from storefront.operations.timeline import Entry, MrrChange, move, record

#: Version of the words that stand for an agreement given in another system.
CONSENT_VERSION = "imported-1"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One row that is to be written, with its method as the gateway has it."""

    row: SubscriberRow
    plan: AnyRow
    price: AnyRow
    card: Card

    @classmethod
    def of(cls, judged: Judged, card: Card) -> Arrival:
        """Return the arrival of a row that is ready. Raises ``ValueError`` for another."""
        if not judged.is_ready or judged.plan is None or judged.price is None:
            raise ValueError("a row that is not ready")
        return cls(judged.row, judged.plan, judged.price, card)


def write_arrivals(
    session: AnySession,
    arrivals: Sequence[Arrival],
    known: Known,
    taxes: TaxRules,
    moment: Moment,
    actor: tuple[Actor, str],
) -> None:
    """Write all of ``arrivals``; ``actor`` stands in their timelines.

    Raises ``IntegrityError`` when somebody wrote one of them meanwhile, and what pricing
    raises; nothing of the batch must then be committed.
    """
    if not arrivals:
        return
    customers = _customers(session, arrivals, known, moment)
    methods = _methods(session, arrivals, known, customers, moment)
    owners = [customers[one.row.email] for one in arrivals]
    addresses = _addresses(session, arrivals, owners, moment)
    keys = reserve(session, Subscription, len(arrivals))
    names = [public_id("sub") for _one in arrivals]
    insert_many(
        session,
        Subscription,
        [
            {
                "id": key,
                "public_id": name,
                "customer_id": owner,
                "address_id": address,
                "payment_method_id": methods[_token(one)],
                **_subscription(one, moment),
            }
            for key, name, owner, address, one in zip(
                keys, names, owners, addresses, arrivals, strict=True
            )
        ],
    )
    priced = _priced(session, keys, taxes, moment)
    _periods(session, arrivals, keys, priced, moment)
    _consents(session, arrivals, keys, owners, priced, moment)
    _tell(session, arrivals, keys, names, priced, moment, actor)


def _customers(
    session: AnySession, arrivals: Sequence[Arrival], known: Known, moment: Moment
) -> dict[str, int]:
    """Return the customer of each e-mail, made where there is none. They have no password."""
    new = {one.row.email: one.row for one in arrivals if one.row.email not in known.customers}
    keys = reserve(session, Customer, len(new))
    insert_many(
        session,
        Customer,
        [
            {
                "id": key,
                "public_id": public_id("cus"),
                "email": email,
                "name": row.address["name"],
                "locale": row.locale,
                "tax_id": "",
                "tax_id_state": "",
                "is_tax_exempt": False,
                "pays_by": "gateway",
                "source": "",
                "created_at": _began(row, moment),
            }
            for key, (email, row) in zip(keys, new.items(), strict=True)
        ],
    )
    return {**known.customers, **dict(zip(new, keys, strict=True))}


def _token(one: Arrival) -> tuple[str, str, str]:
    return one.card.gateway, one.card.account, one.row.token


def _methods(
    session: AnySession,
    arrivals: Sequence[Arrival],
    known: Known,
    customers: Mapping[str, int],
    moment: Moment,
) -> dict[tuple[str, str, str], int]:
    """Return the key of each stored method, written where it is new.

    The first one of a customer who has no default becomes it.
    """
    found = {token: int(row.id) for token, row in known.methods.items()}
    for token, row in known.methods.items():
        taken_away = row.detached_at is not None
        one = next((each for each in arrivals if _token(each) == token), None)
        if taken_away and one is not None:
            keep_again(session, row.id, one.card)
    new = {_token(one): one for one in arrivals if _token(one) not in found}
    keys = reserve(session, PaymentMethod, len(new))
    with_default = set(known.with_default)
    rows = []
    for key, one in zip(keys, new.values(), strict=True):
        owner = customers[one.row.email]
        rows.append(_method(key, owner, one, moment, is_default=owner not in with_default))
        with_default.add(owner)
    insert_many(session, PaymentMethod, rows)
    return {**found, **dict(zip(new, keys, strict=True))}


def _method(
    key: int, owner: int, one: Arrival, moment: Moment, *, is_default: bool
) -> dict[str, Any]:
    method = one.card.method
    return {
        "id": key,
        "public_id": public_id("pm"),
        "customer_id": owner,
        "gateway": one.card.gateway,
        "account": one.card.account,
        "token": one.row.token,
        "gateway_customer": method.gateway_customer or one.row.gateway_customer,
        "agreement": method.agreement,
        "limit_minor": method.limit.minor if method.limit else None,
        "limit_currency": method.limit.currency if method.limit else "",
        "is_default": is_default,
        "is_backup": False,
        "created_at": moment.now,
        **described(method),
    }


def _addresses(
    session: AnySession, arrivals: Sequence[Arrival], owners: Sequence[int], moment: Moment
) -> list[int]:
    keys = reserve(session, Address, len(arrivals))
    insert_many(
        session,
        Address,
        [
            {
                "id": key,
                "public_id": public_id("adr"),
                "customer_id": owner,
                "phone": "",
                "created_at": moment.now,
                **one.row.address,
            }
            for key, owner, one in zip(keys, owners, arrivals, strict=True)
        ],
    )
    return keys


def _first(row: SubscriberRow) -> tuple[PeriodKind, date]:
    """Return the kind and the end of the days that nobody pays for here."""
    if row.paused_until is not None:
        return PeriodKind.PAUSED, row.paused_until
    return PeriodKind.FREE, row.next_charge_on


def _subscription(one: Arrival, moment: Moment) -> dict[str, Any]:
    row, price = one.row, one.price
    billing, (kind, end) = interval_of(price), _first(row)
    paused = kind is PeriodKind.PAUSED
    return {
        "plan_id": one.plan.id,
        "price_id": price.id,
        "quantity": row.quantity,
        "options": dict(row.options),
        "checkout_position": 0,
        "state": SubscriptionState.PAUSED if paused else SubscriptionState.ACTIVE,
        "anchor_on": row.next_charge_on,
        # Days between a pause's end and the next charge are a free period of their own.
        "anchor_number": 2 if end < row.next_charge_on else 1,
        "anchor_day": anchor_day_of(one.plan, billing, row.next_charge_on),
        "next_on": end,
        "next_number": 1,
        "billed_count": 0,
        # An introductory price was for the first boxes: those came from the other system.
        "boxes_billed": sum(phase["boxes"] for phase in price.phases),
        "min_boxes": 0,
        "max_boxes": None,
        "ends_on": one.plan.ends_on,
        "pauses_on": moment.today if paused else None,
        "resumes_on": end if paused else None,
        "renews_at": moment.start_of(end),
        "source": "",
        "imported_from": row.source,
        "imported_id": row.ref,
        "mrr_minor": 0,
        "cohort": _began_on(row, moment).strftime("%Y-%m"),
        "created_at": _began(row, moment),
        "fence": 0,
        "version": 1,
    }


def _began_on(row: SubscriberRow, moment: Moment) -> date:
    return row.started_on or moment.today


def _began(row: SubscriberRow, moment: Moment) -> Any:
    return moment.start_of(row.started_on) if row.started_on else moment.now


def _priced(
    session: AnySession, keys: Sequence[int], taxes: TaxRules, moment: Moment
) -> dict[int, PricedPeriod]:
    """Return the price of each one's next period, by the way every renewal is priced."""
    facts = read_batch(session, [Claim(key, 0, moment.now) for key in keys])
    found = {}
    for row in facts.subscriptions:
        billing = Interval(row.unit, row.unit_count)
        shipping = Interval(row.shipping_unit, row.shipping_count)
        boxes = boxes_per_period(billing, shipping) if row.ships else 0
        terms = terms_of(
            row, boxes, (), facts.options, taxes, row.anchor_on, delivery=facts.delivery
        )
        found[row.id] = price_period(terms)
    return found


def _mrr(one: Arrival, priced: PricedPeriod) -> int:
    return 0 if one.row.paused_until is not None else priced.mrr.minor


def _periods(
    session: AnySession,
    arrivals: Sequence[Arrival],
    keys: Sequence[int],
    priced: Mapping[int, PricedPeriod],
    moment: Moment,
) -> None:
    """Write the days up to the first charge here, and what each is worth a month."""
    rows, values = [], []
    for key, one in zip(keys, arrivals, strict=True):
        kind, end = _first(one.row)
        mrr = _mrr(one, priced[key])
        values.append({"id": key, "mrr_minor": mrr})
        rows.append(
            {
                "subscription_id": key,
                "number": 0,
                "kind": kind,
                "state": PeriodState.PAID,
                "start_on": moment.today,
                "end_on": end,
                "billed_number": 0,
                "plan_id": one.plan.id,
                "price_id": one.price.id,
                "box_count": 0,
                "mrr_minor": mrr,
                "reason": "pause" if kind is PeriodKind.PAUSED else "",
                "opened_at": moment.now,
                "paid_at": None,
            }
        )
    insert_many(session, SubscriptionPeriod, rows)
    update_many(session, Subscription, values, where=("id",))


def _consents(
    session: AnySession,
    arrivals: Sequence[Arrival],
    keys: Sequence[int],
    owners: Sequence[int],
    priced: Mapping[int, PricedPeriod],
    moment: Moment,
) -> None:
    """Note that each agreed to renewals elsewhere: where, under which id, since when."""
    rows = []
    for key, owner, one in zip(keys, owners, arrivals, strict=True):
        text = consent_text(one.row, moment)
        total = priced[key].quote.total
        rows.append(
            {
                "public_id": public_id("con"),
                "customer_id": owner,
                "subscription_id": key,
                "kind": "imported",
                "text": text,
                "text_hash": sha256(text.encode()).hexdigest(),
                "text_version": CONSENT_VERSION,
                "amount_minor": total.minor,
                "currency": total.currency,
                "interval": str(interval_of(one.price)),
                "given_at": _began(one.row, moment),
                "ip": "",
                "user_agent": "",
            }
        )
    insert_many(session, Consent, rows)


def consent_text(row: SubscriberRow, moment: Moment) -> str:
    """Return what is kept as evidence: not the words agreed to, but where they are."""
    since = f"since {row.started_on}" if row.started_on else "on a day not stated"
    return (
        f"Agreed to renewals in another system ({row.source}, subscription {row.ref}) {since}; "
        f"taken over on {moment.today}. The words agreed to are kept there."
    )


def _tell(
    session: AnySession,
    arrivals: Sequence[Arrival],
    keys: Sequence[int],
    names: Sequence[str],
    priced: Mapping[int, PricedPeriod],
    moment: Moment,
    actor: tuple[Actor, str],
) -> None:
    """Write the timeline, and the monthly value as taken over: no new business."""
    entries, movements = [], []
    for key, name, one in zip(keys, names, arrivals, strict=True):
        row = one.row
        data = {"from": row.source, "ref": row.ref, "on": row.next_charge_on.isoformat()}
        entries.append(
            Entry(key, name, EventKind.SUBSCRIPTION_IMPORTED, *actor, data=data, ref=row.ref)
        )
        movements.append(
            MrrChange(
                key,
                MovementKind.NEW,
                _mrr(one, priced[key]),
                one.price.currency,
                one.plan.id,
                "",
                _began_on(row, moment).strftime("%Y-%m"),
                "imported",
                moment.today,
            )
        )
    record(session, entries, moment)
    move(session, movements)
