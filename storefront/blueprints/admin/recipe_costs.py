"""What one box of a recipe costs and brings in, for the pages that show recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from storefront.domain.choices import PoolItem, Rule, fill
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.rates import TaxClass
from storefront.domain.tax_treatment import Place
from storefront.domain.taxes import tax_of
from storefront.queries.recipes import IngredientRow, PlanFacts
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Line:
    """One ingredient as typed."""

    variant: IngredientRow
    typed: str
    pieces: int
    error: str
    #: Subscribers choose it; ``pieces`` is then the most of it in one box.
    is_choice: bool = False


@dataclass(frozen=True, slots=True)
class Sums:
    """What one box costs and brings in; None where a price or a cost is not known.

    Of a box that is chosen: as the default rule fills it, and ``dearest`` at most.
    """

    cost: Money
    dearest: Money | None
    unknown_costs: int
    net: Money | None
    margin: int | None
    weight_grams: int


def sums_of(
    rt: Runtime, plan: PlanFacts, lines: Sequence[Line], rule: Rule | None, surcharge_minor: int
) -> Sums:
    """Return cost of one box, its price without tax, and the margin in whole percent.

    ``surcharge_minor`` is what the answers that the recipe is for cost more per box.
    All of it in the shop's currency: a cost in another one counts as not known. There is no
    margin while the cost of anything in it is not known: it would look better than it is.
    """
    packed = _packed(lines, rule)
    used = [line for line in lines if packed.get(line.variant.public_id)]
    currency = rt.shop.currency
    known = {
        line.variant.public_id: minor
        for line in used
        if (minor := _cost(line, currency)) is not None
    }
    cost = sum(minor * packed[ref] for ref, minor in known.items())
    net = _net(rt, plan, surcharge_minor)
    margin = None
    is_known = len(known) == len(used)
    if is_known and net is not None and net.minor:
        margin = int(Decimal(100 * (net.minor - cost) / Decimal(net.minor)).to_integral_value())
    weight = sum(line.variant.weight_grams * packed[line.variant.public_id] for line in used)
    dearest = Money(_dearest(lines, rule, currency), currency) if rule else None
    return Sums(Money(cost, currency), dearest, len(used) - len(known), net, margin, weight)


def _packed(lines: Sequence[Line], rule: Rule | None) -> dict[str, int]:
    """Return the pieces of one box by variant, as the default rule fills it from its pool."""
    packed = {line.variant.public_id: line.pieces for line in lines if not line.is_choice}
    pool = [line for line in lines if line.is_choice and line.pieces]
    if rule is None or not pool:
        return packed
    items = [
        PoolItem(
            number,
            line.pieces,
            line.variant.category,
            line.variant.price.minor if line.variant.price else 0,
        )
        for number, line in enumerate(pool)
    ]
    filled = fill(rule, items, {}, {})
    for number, pieces in (filled.picks if filled else {}).items():
        packed[pool[number].variant.public_id] = pieces
    return packed


def _cost(line: Line, currency: str) -> int | None:
    """Return what one piece costs in minor units of ``currency``, None if that is not known."""
    cost = line.variant.cost
    return cost.minor if cost is not None and cost.currency == currency else None


def _dearest(lines: Sequence[Line], rule: Rule | None, currency: str) -> int:
    """Return what a box costs at most, its limits by category and value left aside."""
    fixed = sum((_cost(line, currency) or 0) * line.pieces for line in lines if not line.is_choice)
    costs = [
        _cost(line, currency) or 0
        for line in lines
        if line.is_choice
        for _piece in range(line.pieces)
    ]
    return fixed + sum(sorted(costs, reverse=True)[: rule.pieces if rule else 0])


def _net(rt: Runtime, plan: PlanFacts, surcharge_minor: int) -> Money | None:
    if plan.box_price is None:
        return None
    price = Money(plan.box_price.minor + surcharge_minor, plan.box_price.currency)
    if not plan.is_inclusive:
        return price
    try:
        place, kind = Place(rt.shop.seller_country), cast(TaxClass, plan.tax_class)
        rate, _source = rt.shop.taxes.rate(place, kind, rt.today())
    except DomainError:
        return price
    return Money(price.minor - tax_of(price, rate, inclusive=True).minor, price.currency)
