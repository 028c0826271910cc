"""What the papers of a box say beside its contents, frozen with them at the lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.models import (
    Box,
    Customer,
    Gift,
    Option,
    OptionGroup,
    Product,
    ProductVariant,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class PackingWords:
    """Names by variant; the customer's language and which box of how many, by box.

    Also what the giver of a box writes, with the first box of a gift that is packed, and what
    was answered to the questions of the plan, in their order.
    """

    names: dict[int, str]
    boxes: dict[int, tuple[str, int, int]]
    gifts: dict[int, dict[str, str]]
    answers: dict[int, list[list[str]]]

    def of(self, box_id: int, contents: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """Return what is frozen beside the ``contents`` (variant, pieces) of a box."""
        language, ordinal, count = self.boxes[box_id]
        words: dict[str, Any] = {
            "names": [self.names[variant] for variant, _pieces in contents],
            "language": language,
            "ordinal": ordinal,
            "of": count,
        }
        if box_id in self.gifts:
            words["gift"] = self.gifts[box_id]
        if self.answers.get(box_id):
            words["answers"] = self.answers[box_id]
        return words


def reachable(subscription: sa.Table) -> sa.ColumnElement[int]:
    """Return who is written to about a parcel: the giver as long as nobody has a gift."""
    return sa.func.coalesce(subscription.c.customer_id, subscription.c.payer_id)


def packing_words(
    session: AnySession, box_ids: Sequence[int], variant_ids: Iterable[int]
) -> PackingWords:
    """Return the words of these boxes; three statements at most for any number of them."""
    variant, product = table_of(ProductVariant), table_of(Product)
    names = session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(set(variant_ids)))
    )
    box, period = table_of(Box), table_of(SubscriptionPeriod)
    subscription, customer, gift = table_of(Subscription), table_of(Customer), table_of(Gift)
    before = box.alias()
    is_packed_before = sa.exists().where(
        before.c.subscription_id == box.c.subscription_id,
        before.c.id != box.c.id,
        before.c.locked_at.is_not(None),
    )
    found = session.execute(
        sa.select(
            box.c.id,
            sa.func.coalesce(customer.c.locale, "").label("language"),
            box.c.ordinal,
            box.c.plan_id,
            box.c.options,
            period.c.box_count,
            gift.c.giver_name,
            gift.c.message,
        )
        .join(period, period.c.id == box.c.period_id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(customer, customer.c.id == reachable(subscription))
        .outerjoin(
            gift,
            sa.and_(gift.c.subscription_id == box.c.subscription_id, sa.not_(is_packed_before)),
        )
        .where(box.c.id.in_(box_ids))
    )
    boxes = found.all()
    return PackingWords(
        {row.id: row.name for row in names},
        {row.id: (row.language, row.ordinal, row.box_count) for row in boxes},
        {
            row.id: {"from": row.giver_name, "message": row.message}
            for row in boxes
            # A giver who was erased writes nothing any more.
            if row.giver_name
        },
        _answers(session, {row.id: (row.plan_id, row.options) for row in boxes if row.options}),
    )


def _answers(
    session: AnySession, chosen: Mapping[int, tuple[int, Mapping[str, Any]]]
) -> dict[int, list[list[str]]]:
    """Return question and answer by name, by box; an answer that is gone by its code."""
    if not chosen:
        return {}
    group, option = table_of(OptionGroup), table_of(Option)
    questions: dict[int, list[tuple[str, str]]] = defaultdict(list)
    names: dict[tuple[int, str, str], str] = {}
    for row in session.execute(
        sa.select(
            group.c.plan_id,
            group.c.code,
            group.c.name,
            option.c.code.label("answer"),
            option.c.name.label("answer_name"),
        )
        .join(option, option.c.group_id == group.c.id)
        .where(group.c.plan_id.in_({plan_id for plan_id, _options in chosen.values()}))
        .order_by(group.c.position, group.c.id, option.c.id)
    ):
        if (row.code, row.name) not in questions[row.plan_id]:
            questions[row.plan_id].append((row.code, row.name))
        names[row.plan_id, row.code, row.answer] = row.answer_name
    return {
        key: [
            [name, names.get((plan_id, code, str(options[code])), str(options[code]))]
            for code, name in questions[plan_id]
            if options.get(code)
        ]
        for key, (plan_id, options) in chosen.items()
    }
