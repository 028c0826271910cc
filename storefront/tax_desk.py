"""Ask plugins about tax: the rate of a place, whether a VAT number is in the register.

Never inside a transaction, never longer than a few seconds, and silence is an answer: the
shop's own rates hold, a number stays pending. Services and pages may import this module.
Source: docs/decisions/0073-asking-about-tax.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import reading
from storefront.domain.gifts import destination_of
from storefront.domain.rates import NoRate
from storefront.domain.tax_treatment import (
    Sale,
    TaxAnswer,
    TaxIdState,
    TaxQuestion,
    TaxRules,
    Treatment,
)
from storefront.models import Plan, Price
from storefront.models.base import table_of
from storefront.operations.additions import read_additions
from storefront.operations.addon_changes import read_addons
from storefront.operations.addons import offered_addons, picked_of, running_addons
from storefront.operations.change_facts import own_subscription
from storefront.operations.checkout import Market, find_checkout
from storefront.operations.keys import AnyRow
from storefront.operations.offers import price_named
from storefront.operations.order_items import wishes_of
from storefront.operations.taxes import sale_to
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How long all questions of one batch, or one page, may take together.
SECONDS = 3.0
#: Classes a rate is asked for.
TAX_CLASSES = ("standard", "reduced", "zero")
NO_ADDONS: Mapping[int, Sequence[AnyRow]] = MappingProxyType({})
#: Questions under way at once.
AT_ONCE = 8
_VERDICTS = {"valid": TaxIdState.VALID, "invalid": TaxIdState.INVALID}


def checks_numbers(rt: Runtime) -> bool:
    """True if a plugin can look VAT numbers up."""
    return rt.hooks.has("check_tax_id")


def check_number(rt: Runtime, number: str) -> TaxIdState:
    """Return what the register says of a well-formed VAT number; pending if it says nothing."""
    if not number:
        return TaxIdState.NONE
    if not checks_numbers(rt):
        return TaxIdState.PENDING
    found = _all_in_time([number], lambda each: rt.hooks.resolve("check_tax_id", str, number=each))
    return _VERDICTS.get(found.get(number, ""), TaxIdState.PENDING)


def rules_for(
    rt: Runtime, rows: Sequence[AnyRow], addons: Mapping[int, Sequence[AnyRow]] = NO_ADDONS
) -> TaxRules:
    """Return the shop's rules with the provider's rates for the coming periods of ``rows``.

    ``rows`` as ``operations.terms.terms_of`` wants them, ``addons`` what is sold beside each
    (``running_addons``). Without a provider nothing is asked.
    """
    taxes = rt.shop.taxes
    if not rt.hooks.has("quote_tax"):
        return taxes
    sales = (
        (sale_to(row, taxes), one.tax_class, row.next_on)
        for row in rows
        for one in (row, *addons.get(row.id, ()))
    )
    return _quoted(rt, taxes, sales)


def rules_at(rt: Runtime, sales: Iterable[tuple[AnyRow, str, date]]) -> TaxRules:
    """Return the shop's rules with the provider's rates for (who and where, tax class, day)."""
    taxes = rt.shop.taxes
    if not rt.hooks.has("quote_tax"):
        return taxes
    return _quoted(rt, taxes, ((sale_to(row, taxes), kind, on) for row, kind, on in sales))


def prepare_change(rt: Runtime, subscription: str, price: str) -> None:
    """Have a change of ``subscription`` to ``price`` taxed by the provider's rate today."""
    if not rt.hooks.has("quote_tax"):
        return
    plan, table = table_of(Plan), table_of(Price)
    with reading():
        row = _found(rt, subscription)
        target = rt.session.scalar(
            sa.select(plan.c.tax_class)
            .join(table, table.c.plan_id == plan.c.id)
            .where(table.c.public_id == price)
        )
        beside = running_addons(rt.session, [row.id]).get(row.id, []) if row else []
        rt.session.rollback()
    if row is not None and target is not None:
        _tax_sale(rt, row, [target, *(one.tax_class for one in beside)], rt.today())


def prepare_addons(rt: Runtime, customer_id: int, subscription: str) -> None:
    """Have the next payment of ``subscription`` taxed so, with every add-on it may get."""
    if not rt.hooks.has("quote_tax"):
        return
    moment = rt.moment()
    with reading():
        try:
            facts = read_addons(rt.session, customer_id, subscription, moment, rt.shop.taxes)
        except LookupError:
            # Whoever prices it says so.
            return
        finally:
            rt.session.rollback()
    day = facts.charged_on(moment.today)
    if day is not None:
        row = facts.coming.row
        beside = [one.tax_class for one in facts.running] + [one.tax_class for one in facts.offered]
        _tax_sale(rt, row, [row.tax_class, *beside], day)


def prepare_additions(rt: Runtime, customer_id: int, subscription: str) -> None:
    """Have what may be put into paid boxes today taxed so, and the payments after it."""
    prepare_addons(rt, customer_id, subscription)
    if not rt.hooks.has("quote_tax"):
        return
    moment = rt.moment()
    with reading():
        try:
            facts = read_additions(rt.session, customer_id, subscription, moment, rt.shop.taxes)
        except LookupError:
            return
        finally:
            rt.session.rollback()
    kinds = [facts.payer.plan_tax_class, *(one.tax_class for one in facts.own.offered)]
    _tax_sale(rt, facts.payer, kinds, rt.today())


def prepare_extra(rt: Runtime, subscription: str, tax_class: str) -> None:
    """Have something sold today beside ``subscription`` taxed by the provider's rate."""
    if not rt.hooks.has("quote_tax") or tax_class not in TAX_CLASSES:
        return
    with reading():
        row = _found(rt, subscription)
        rt.session.rollback()
    if row is not None:
        _tax_sale(rt, row, [tax_class], rt.today())


def _found(rt: Runtime, subscription: str) -> AnyRow | None:
    """Return the subscription with address and payer, None where whoever prices it refuses."""
    try:
        return own_subscription(rt.session, None, subscription)
    except LookupError:
        return None


def _tax_sale(rt: Runtime, row: AnyRow, classes: Sequence[str], on: date) -> None:
    taxes = rt.shop.taxes
    sale = sale_to(row, taxes)
    rt.tax_by(_quoted(rt, taxes, [(sale, each, on) for each in classes]))


def prepare_checkout(rt: Runtime, key: str) -> None:
    """Have the order ``key`` taxed by the provider's rate in what follows, if there is one."""
    if not rt.hooks.has("quote_tax"):
        return
    market, plan = Market.of(rt.shop), table_of(Plan)
    with reading():
        row = find_checkout(rt.session, key)
        classes: list[Any] = []
        for wish in wishes_of(row) if row is not None else ():
            kind, code = rt.session.execute(
                sa.select(plan.c.tax_class, plan.c.code).where(plan.c.id == wish.plan_id)
            ).one()
            currency = price_named(rt.session, wish.price_id).amount.currency
            picked = picked_of(wish.addons, offered_addons(rt.session, code, currency))
            classes += [kind, *(one.addon.tax_class for one in picked)]
        rt.session.rollback()
    if row is None:
        return
    sale = market.sale_to(destination_of(row.address, row.gift))
    rt.tax_by(_quoted(rt, market.taxes, [(sale, each, rt.today()) for each in classes]))


def _quoted(rt: Runtime, taxes: TaxRules, sales: Iterable[tuple[Sale, Any, date]]) -> TaxRules:
    questions = {
        taxes.question(sale.place, tax_class, on)
        for sale, tax_class, on in sales
        if _is_asked(sale, tax_class, on)
    }
    answers = _all_in_time(
        list(questions), lambda each: rt.hooks.resolve("quote_tax", TaxAnswer, question=each)
    )
    fine = {each: answer for each, answer in answers.items() if 0 <= answer.rate <= 100}
    for silent in sorted(questions - set(fine), key=str):
        log.warning("no tax provider answered for %s; the table's rate is taken", _where(silent))
    return taxes.with_quotes(fine)


def _is_asked(sale: Sale, tax_class: Any, on: date) -> bool:
    try:
        return sale.tax(tax_class, on).treatment is Treatment.STANDARD
    except NoRate:
        # Nobody here knows a rate; the provider may.
        return True


def _where(question: TaxQuestion) -> str:
    """Name a question in the log without street or person."""
    place = question.place
    return f"{place.country} {place.region} {question.tax_class} {question.on}"


def _all_in_time(questions: list[Any], ask: Callable[[Any], T | None]) -> dict[Any, T]:
    """Ask everything at once and return what was answered in time."""
    if not questions:
        return {}
    pool = ThreadPoolExecutor(max_workers=min(AT_ONCE, len(questions)), thread_name_prefix="tax")
    try:
        asked = {pool.submit(ask, each): each for each in questions}
        done, _late = wait(asked, timeout=SECONDS)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    answers = ((asked[future], future.result()) for future in done if not future.cancelled())
    return {question: answer for question, answer in answers if answer is not None}
