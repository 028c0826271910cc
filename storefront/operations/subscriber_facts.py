"""What an import of running subscribers is held against, and what a row comes to by it.

A batch costs the same few statements whether it holds one row or a hundred.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import cast

import sqlalchemy as sa

from storefront.domain.money import exponent
from storefront.domain.openings import next_day
from storefront.domain.periods import Interval, Unit
from storefront.domain.subscriber_rows import Finding, Level, SubscriberRow
from storefront.models import (
    Customer,
    CycleGroup,
    Option,
    OptionGroup,
    PaymentMethod,
    Plan,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession, any_of
from storefront.operations.offers import most_of

#: A gateway's name, the account there, and the token of a stored method.
Token = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Sold:
    """Everything that was ever on sale: archived plans and retired prices as well."""

    plans: Mapping[str, AnyRow]
    prices: Mapping[int, Sequence[AnyRow]]
    #: Plan id -> question -> answers.
    answers: Mapping[int, Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is here already of a batch of rows."""

    #: (system, id there) of subscriptions that came before.
    imported: frozenset[tuple[str, str]]
    #: E-mail -> customer.
    customers: Mapping[str, int]
    methods: Mapping[Token, AnyRow]
    #: Customers who have a default method.
    with_default: frozenset[int]


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what it comes to; one whose ``errors`` is not empty is left out."""

    row: SubscriberRow
    plan: AnyRow | None = None
    price: AnyRow | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_ready(self) -> bool:
        return all(one.level is Level.WARNING for one in self.findings)


@dataclass(slots=True)
class _Findings:
    row: SubscriberRow
    found: list[Finding] = field(default_factory=list)

    def say(
        self, column: str, code: str, value: str, right: str = "", level: Level = Level.ERROR
    ) -> None:
        self.found.append(Finding(self.row.row, column, code, value[:80], right, level))


def read_sold(session: AnySession) -> Sold:
    """Return what rows may name; three statements."""
    plan, group, price = table_of(Plan), table_of(CycleGroup), table_of(Price)
    question, option = table_of(OptionGroup), table_of(Option)
    plans = session.execute(
        sa.select(
            plan,
            sa.func.coalesce(group.c.charge_day, plan.c.charge_day).label("billing_day"),
            group.c.unit.label("group_unit"),
        ).outerjoin(group, group.c.id == plan.c.cycle_group_id)
    )
    columns = (price.c[name] for name in ("id", "public_id", "plan_id", "currency", "country"))
    more = (price.c[name] for name in ("unit", "version", "amount_minor", "phases", "retired_at"))
    # ``count`` is a method of every row.
    many = price.c["count"].label("unit_count")
    prices: dict[int, list[AnyRow]] = defaultdict(list)
    for row in session.execute(sa.select(*columns, *more, many).order_by(price.c.version)):
        prices[row.plan_id].append(row)
    answers: dict[int, dict[str, frozenset[str]]] = defaultdict(dict)
    said: Sequence[AnyRow] = session.execute(
        sa.select(question.c.plan_id, question.c.code, option.c.code.label("answer")).join(
            option, option.c.group_id == question.c.id
        )
    ).all()
    for row in said:
        own = answers[row.plan_id]
        own[row.code] = own.get(row.code, frozenset()) | {row.answer}
    return Sold({row.code: row for row in plans}, prices, answers)


def read_known(session: AnySession, rows: Sequence[SubscriberRow]) -> Known:
    """Return what is here already of ``rows``; four statements."""
    subscription, customer = table_of(Subscription), table_of(Customer)
    method = table_of(PaymentMethod)
    imported = session.execute(
        sa.select(subscription.c.imported_from, subscription.c.imported_id).where(
            any_of(subscription.c.imported_from, "sources"),
            any_of(subscription.c.imported_id),
            subscription.c.imported_id != "",
        ),
        {"sources": sorted({row.source for row in rows}), "ids": sorted({row.ref for row in rows})},
    )
    customers = session.execute(
        sa.select(customer.c.email, customer.c.id).where(any_of(customer.c.email)),
        {"ids": sorted({row.email for row in rows})},
    ).all()
    names = ("id", "customer_id", "gateway", "account", "token", "refused_at", "detached_at")
    methods = session.execute(
        sa.select(*[method.c[name] for name in names]).where(any_of(method.c.token)),
        {"ids": sorted({row.token for row in rows})},
    )
    defaults = session.execute(
        sa.select(method.c.customer_id).where(
            any_of(method.c.customer_id), method.c.is_default, method.c.detached_at.is_(None)
        ),
        {"ids": sorted({row.id for row in customers})},
    )
    return Known(
        frozenset((row.imported_from, row.imported_id) for row in imported),
        {row.email: row.id for row in customers},
        {(row.gateway, row.account, row.token): row for row in methods},
        frozenset(defaults.scalars()),
    )


def judge(
    row: SubscriberRow,
    sold: Sold,
    known: Known,
    accounts: Mapping[str, str],
    countries: Sequence[str],
) -> Judged:
    """Return what becomes of ``row``; ``accounts`` has each gateway's own. Asks no gateway."""
    if (row.source, row.ref) in known.imported:
        here = Finding(row.row, "id", "here", row.ref, level=Level.HERE)
        return Judged(row, findings=(here,))
    findings = _Findings(row)
    _judge_method(row, known, accounts, findings)
    if row.address["country"] not in countries:
        right = ", ".join(countries)
        findings.say("country", "unknown_country", row.address["country"], right)
    plan, price = sold.plans.get(row.plan), None
    if plan is None:
        findings.say("plan", "unknown_plan", row.plan, ", ".join(sorted(sold.plans)))
    else:
        _judge_answers(row, sold.answers.get(plan.id, {}), findings)
        price = _judge_price(row, plan, sold.prices.get(plan.id, ()), findings)
    if row.is_billed_elsewhere:
        findings.say("billed_elsewhere", "still_billed", "", level=Level.WARNING)
    return Judged(row, plan, price, tuple(findings.found))


def _judge_method(
    row: SubscriberRow, known: Known, accounts: Mapping[str, str], findings: _Findings
) -> None:
    account = accounts.get(row.gateway)
    if account is None:
        findings.say("gateway", "unknown_gateway", row.gateway, ", ".join(sorted(accounts)))
        return
    if row.account not in ("", account):
        findings.say("gateway_account", "other_account", row.account, account)
    method = known.methods.get((row.gateway, account, row.token))
    if method is None:
        return
    if method.customer_id != known.customers.get(row.email):
        findings.say("gateway_method", "others_card", row.token)
    elif method.refused_at is not None:
        findings.say("gateway_method", "refused_card", row.token)


def _judge_answers(
    row: SubscriberRow, questions: Mapping[str, frozenset[str]], findings: _Findings
) -> None:
    shown = "; ".join(f"{code}={'|'.join(sorted(of))}" for code, of in sorted(questions.items()))
    said = "; ".join(f"{code}={answer}" for code, answer in row.options.items())
    unknown = any(answer not in questions.get(code, ()) for code, answer in row.options.items())
    if unknown:
        findings.say("options", "unknown_option", said, shown)
    elif set(questions) - set(row.options):
        findings.say("options", "unanswered", said, shown)


def _judge_price(
    row: SubscriberRow, plan: AnyRow, prices: Sequence[AnyRow], findings: _Findings
) -> AnyRow | None:
    price = _price_of(row, prices)
    if price is None:
        column = "price_id" if row.price_id else "amount" if row.amount_minor else "interval"
        value = row.price_id or str(row.interval or "")
        findings.say(column, "no_price", value, _listed(prices))
        return None
    asked = (row.amount_minor, row.currency)
    if row.amount_minor is not None and asked != (price.amount_minor, price.currency):
        right = _shown(price.amount_minor, price.currency)
        findings.say("amount", "other_amount", _shown(row.amount_minor, row.currency), right)
    billing = interval_of(price)
    boxes = (billing.multiple_of(plan_shipping(plan)) or 0) if plan.ships else 1
    if not boxes:
        findings.say("interval", "no_price", str(billing), _listed(prices))
    elif most_of(boxes, plan.at_term_end, plan.max_boxes) is not None:
        findings.say("plan", "ends_by_itself", row.plan)
    elif plan.at_term_end == "monthly" and boxes > 1:
        findings.say("interval", "falls_to_monthly", str(billing), str(plan_shipping(plan)))
    _judge_day(row, plan, billing, findings)
    return price


def _judge_day(row: SubscriberRow, plan: AnyRow, billing: Interval, findings: _Findings) -> None:
    """A plan with a billing day of its own charges everybody on it: so must the import."""
    if plan.billing_day is None:
        return
    unit = Interval(cast(Unit, plan.group_unit)) if plan.ships else Interval(billing.unit)
    right = next_day(row.next_charge_on, unit, plan.billing_day)
    if right != row.next_charge_on:
        value = row.next_charge_on.isoformat()
        findings.say("next_charge_on", "not_billing_day", value, right.isoformat())


def _price_of(row: SubscriberRow, prices: Sequence[AnyRow]) -> AnyRow | None:
    """Return the version meant: named, or the newest that fits; that of the country first.

    A price off sale is meant only by who names it or its amount; two intervals are no answer.
    """
    if row.price_id:
        return next((one for one in prices if one.public_id == row.price_id), None)
    fitting = [
        one
        for one in prices
        if one.currency == row.currency
        and one.country in ("", row.address["country"])
        and (row.interval is None or interval_of(one) == row.interval)
        and (
            one.retired_at is None
            if row.amount_minor is None
            else one.amount_minor == row.amount_minor
        )
    ]
    if len({interval_of(one) for one in fitting}) != 1:
        return None
    return max(fitting, key=lambda one: (one.country, one.retired_at is None, one.version))


def interval_of(price: AnyRow) -> Interval:
    """Return how often a price is charged."""
    return Interval(cast(Unit, price.unit), price.unit_count)


def plan_shipping(plan: AnyRow) -> Interval:
    """Return how often a plan sends a box."""
    return Interval(cast(Unit, plan.shipping_unit), plan.shipping_count)


def anchor_day_of(plan: AnyRow, billing: Interval, day: date) -> int:
    """Return the day of month that charges after ``day`` aim at, also after short months."""
    fixed: int | None = plan.billing_day
    return fixed if fixed is not None and billing.months is not None else day.day


def _listed(prices: Sequence[AnyRow]) -> str:
    on_sale = [one for one in prices if one.retired_at is None]
    return "; ".join(
        f"{interval_of(one)}: {_shown(one.amount_minor, one.currency)}" for one in on_sale[:6]
    )


def _shown(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-exponent(currency))} {currency}"
