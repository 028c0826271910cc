"""What recipes say and subscribers do not tolerate, with what comes instead at the lock.

Source: docs/decisions/0203-not-tolerated.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Product, ProductVariant, ShortageRule
from storefront.models.base import table_of
from storefront.operations.choices import avoided_by


@dataclass(frozen=True, slots=True)
class UnwantedBy:
    """What one subscriber does not tolerate; by variant what its SKU names to come instead."""

    avoided: frozenset[str] = frozenset()
    substitutes: Mapping[int, Any] = field(default_factory=dict)

    def without(self, lines: Sequence[Any]) -> dict[int, tuple[str, str]]:
        """Return by key which lines of a recipe do not come, and what comes instead or empty.

        Whether that is still there then nobody knows.
        """
        found = {}
        for line in lines:
            if line.is_choice or not self.avoided & frozenset(line.allergens or ()):
                continue
            other = self.substitutes.get(line.variant_id)
            is_good = other is not None and not self.avoided & frozenset(other.allergens or ())
            found[line.key] = (str(line.name), str(other.name) if other and is_good else "")
        return found


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The same of several subscriptions."""

    avoided: Mapping[int, frozenset[str]] = field(default_factory=dict)
    substitutes: Mapping[int, Any] = field(default_factory=dict)

    def of(self, subscription_id: int) -> UnwantedBy:
        """Return that of one."""
        return UnwantedBy(self.avoided.get(subscription_id, frozenset()), self.substitutes)


def read_unwanted(
    session: AnySession, subscription_ids: Collection[int], lines: Sequence[Any]
) -> Unwanted:
    """Return what the subscriptions do not tolerate of ``lines``; nothing is read without need."""
    if not any(line.allergens for line in lines if line.recipe_id is not None):
        return Unwanted()
    avoided = avoided_by(session, subscription_ids)
    words = {word for own in avoided.values() for word in own}
    hit = {line.variant_id for line in lines if words & set(line.allergens or ())}
    if not hit:
        return Unwanted()
    rule, variant, product = (table_of(one) for one in (ShortageRule, ProductVariant, Product))
    rows = session.execute(
        sa.select(
            rule.c.variant_id,
            product.c.allergens,
            sa.func.trim(product.c.name + " " + variant.c.name).label("name"),
        )
        .join(variant, variant.c.id == rule.c.substitute_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(rule.c.variant_id.in_(hit))
    )
    return Unwanted(avoided, {row.variant_id: row for row in rows})
