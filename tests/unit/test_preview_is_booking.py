"""What an order shows of later payments is what renewals book, for thousands of random orders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from storefront.domain.checkout import OrderQuote, OrderTerms, quote_order
from storefront.domain.coupons import CouponTerms, cycles_after
from storefront.domain.cycles import CycleSlot
from storefront.domain.money import Money
from storefront.domain.periods import Interval, add_interval
from storefront.domain.recurring import Phase, PricedPeriod, price_period
from storefront.domain.shipping import Area, Band, Delivery, Tariff, Zone
from storefront.domain.tax_treatment import Buyer, Place, Sale, TaxRules
from storefront.operations.discounts import coupon_terms
from storefront.operations.terms import terms_of
from tests.support.availability import is_long

#: With ``dev.py test --long`` and in every run.
CASES = 10_000 if is_long() else 2_500
#: Payments booked after each order, unless it ends before.
TURNS = 5
TODAY = date(2027, 3, 2)
MONTH = Interval("month")
RULES = {rounding: TaxRules.of("DE", rounding, ()) for rounding in ("sum", "line")}
CYCLES = [
    CycleSlot(
        n,
        date(2027 + (n - 1) // 12, (n - 1) % 12 + 1, 12),
        date(2027 + (n - 1) // 12, (n - 1) % 12 + 1, 11),
        date(2027 + (n - 1) // 12, (n - 1) % 12 + 1, 16),
        date(2027 + (n - 1) // 12, (n - 1) % 12 + 1, 18),
    )
    for n in range(3, 60)
]


@dataclass(frozen=True)
class Case:
    """An order, and the rows that its renewals would read."""

    terms: OrderTerms
    row: dict[str, Any]
    discounts: tuple[SimpleNamespace, ...]
    rules: TaxRules
    delivery: Delivery


def coupon(random: Random, key: int, currency: str) -> SimpleNamespace:
    kind = random.choice(["percent", "percent", "fixed", "free_shipping", "free_first_box"])
    to = random.choice(["box", "box", "fee"]) if kind in ("percent", "fixed") else "box"
    # As the form for codes has it: these are about the first payment and no later one.
    first_box = kind == "free_first_box" or to == "fee"
    duration = "once" if first_box else random.choice(["once", "cycles", "forever"])
    lasts = {"once": 1, "cycles": random.randint(1, 4), "forever": None}[duration]
    return SimpleNamespace(
        id=key,
        coupon_id=key,
        kind=kind,
        applies_to=to,
        percent_bp=random.choice([500, 1000, 3333, 10_000]) if kind == "percent" else 0,
        amount_minor=random.randint(1, 4000) if kind == "fixed" else 0,
        currency=currency if kind == "fixed" else "",
        duration=duration,
        from_billed=1 if first_box else random.choice([1, 1, 1, 2, 3]),
        priority=random.randint(0, 2),
        combines=random.random() < 0.7,
        is_automatic=random.random() < 0.5,
        limits={},
        starts_on=None,
        ends_on=None,
        code=f"CODE{key}",
        cycles_left=lasts,
        is_counted=False,
    )


def drawn(random: Random) -> Case:
    currency = random.choice(["EUR", "EUR", "JPY", "KWD"])
    ships = random.random() < 0.6
    interval = random.choice([MONTH, Interval("month", 3), Interval("year")])
    boxes = (interval.multiple_of(MONTH) or 1) if ships else 0
    rules, country = RULES[random.choice(["sum", "line"])], random.choice(["DE", "FR", "AT"])
    tax_class = random.choice(["standard", "reduced"])
    buyer = random.choice([("", ""), ("", ""), ("FR40303265045", "valid")])
    amount, quantity = random.randint(1, 30_000), random.choice([1, 1, 2, 3])
    inclusive, surcharge = random.random() < 0.7, random.choice([0, 0, 150])
    per = max(boxes, 1)
    phases = [{"boxes": per * random.randint(1, 3), "amount_minor": random.randint(0, amount)}]
    phases = phases if random.random() < 0.4 else []
    delivery, postcode = zoned(random, currency), random.choice(["07743", "18565", "6020"])
    discounts = [coupon(random, key, currency) for key in range(1, random.randint(0, 3) + 1)]
    row = {
        "country": country, "region": "", "postcode": postcode, "city": "",
        "tax_id": buyer[0], "tax_id_state": buyer[1], "is_tax_exempt": False,
        "tax_class": tax_class, "plan_name": "Tea", "plan_code": "tea", "plan_id": 1,
        "amount_minor": amount, "currency": currency, "quantity": quantity,
        "unit": interval.unit, "unit_count": interval.count, "tax_inclusive": inclusive,
        "options": {"size": "big"} if surcharge else {}, "phases": phases, "id": 1,
    }  # fmt: skip
    taxed = Sale(rules, Place(country), Buyer(*buyer)).tax(tax_class, TODAY)
    terms = OrderTerms(
        plan_name="Tea",
        plan_ref="tea",
        price_ref="pri_1",
        amount=Money(amount, currency),
        interval=interval,
        shipping=MONTH if ships else None,
        inclusive=inclusive,
        tax_rate=taxed.rate,
        country=country,
        today=TODAY,
        quantity=quantity,
        surcharges=(("Big", "size=big", Money(surcharge, currency)),) if surcharge else (),
        sign_up_fee=Money(random.choice([0, 1000]), currency),
        discounts=tuple(held(one) for one in discounts),
        delivery=delivery,
        postcode=postcode,
        cycles=CYCLES if ships else (),
        charge_day=None if ships else random.choice([None, 15]),
        trial_days=random.choice([0, 0, 0, 14]),
        phases=tuple(Phase(one["boxes"], Money(one["amount_minor"], currency)) for one in phases),
        max_boxes=random.choice([None, None, per * 4]),
        treatment=taxed.treatment,
        tax_source=taxed.source,
        rounding=rules.rounding,
    )
    return Case(terms, row, tuple(discounts), rules, delivery)


def zoned(random: Random, currency: str) -> Delivery:
    """Return zones by postcode, country and weight, or none, with boxes on both sides of a band."""
    if random.random() < 0.6:
        return Delivery()

    def tariff() -> Tariff:
        begins = sorted({0, *random.sample(range(1, 3000), random.randint(0, 3))})
        bands = tuple(Band(one, Money(random.randint(0, 990), currency)) for one in begins)
        free = random.choice([None, None, Money(random.randint(1, 9000), currency)])
        return Tariff(bands, free)

    zones = [Zone((Area(""),), (tariff(),))]
    zones += [Zone((Area("DE"), Area("AT", "6")), (tariff(),))] * (random.random() < 0.5)
    zones += [Zone((Area("DE", "18"),), (tariff(),))] * (random.random() < 0.5)
    weights = {"": random.randint(0, 3000), "size=big": random.randint(0, 3000)}
    return Delivery(tuple(zones), {"tea": weights})


def held(row: SimpleNamespace) -> CouponTerms:
    return coupon_terms(row, str(row.id), row.code, row.cycles_left)


def spent(discounts: list[SimpleNamespace], priced: PricedPeriod) -> list[SimpleNamespace]:
    """Return what is left of the discounts, as the engine writes it after an invoice."""
    taken, nothing = dict(priced.taken), Money.zero(priced.quote.currency)
    left = []
    for row in discounts:
        off = taken.get(str(row.id), nothing)
        lasts = cycles_after(row.cycles_left, off)
        if lasts != 0:
            counted = row.is_counted or off.minor > 0
            left.append(
                SimpleNamespace(**{**vars(row), "cycles_left": lasts, "is_counted": counted})
            )
    return left


def booked(case: Case, quote: OrderQuote) -> list[tuple[date, int]]:
    """Return day and amount of each later payment as the renewal run books them."""
    per, discounts = max(quote.boxes, 1), list(case.discounts)
    if quote.is_paid:
        taken = dict(quote.first.taken)
        # One that lasts one payment and lost against a better one is left out.
        discounts = [one for one in discounts if str(one.id) in taken or not held(one).is_for_first]
        discounts = spent(discounts, quote.first)
    billed, options = int(quote.is_paid), {(1, "size", "big"): ("Big", {case.row["currency"]: 150})}
    found = []
    for turn in range(TURNS):
        on = add_interval(quote.renewal_on, case.terms.interval, turn, day=quote.anchor_day)
        if case.terms.max_boxes is not None and (billed + 1) * per > case.terms.max_boxes:
            break
        row = SimpleNamespace(
            **case.row, next_on=on, boxes_billed=billed * per, billed_count=billed
        )
        terms = terms_of(row, quote.boxes, discounts, options, case.rules, delivery=case.delivery)
        priced = price_period(terms)
        discounts, billed = spent(discounts, priced), billed + 1
        found.append((on, priced.quote.total.minor))
    return found


def shown_on(quote: OrderQuote, day: date) -> int | None:
    """Return what the order shows for a payment on ``day``."""
    before = [one.amount.minor for one in quote.charges if one.on <= day]
    return before[-1] if before else None


@pytest.mark.slow
def test_thousands_of_random_orders_are_booked_as_they_were_shown() -> None:
    random, later = Random(20270302), 0
    for number in range(CASES):
        case = drawn(random)
        quote = quote_order(case.terms)
        payments = booked(case, quote)
        shown = [(day, shown_on(quote, day)) for day, _minor in payments]
        assert payments == shown, f"case {number}: {case.terms}"
        later += len({minor for _day, minor in payments}) > 1
    # The cases are worth something: many of them have amounts that change.
    assert later > CASES / 5


def test_the_comparison_notices_a_single_unit() -> None:
    case = drawn(Random(1))
    quote = quote_order(case.terms)
    dearer = replace(case, row={**case.row, "amount_minor": case.row["amount_minor"] + 100})

    assert [shown_on(quote, day) for day, _minor in booked(case, quote)] != [
        minor for _day, minor in booked(dearer, quote)
    ]
