"""What a subscriber may say not to tolerate, and what they said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import ENDED
from storefront.models import Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.allergens import with_allergens, words_of_products
from storefront.operations.choice_losses import Loss, losses_of
from storefront.operations.choices import avoided_by
from storefront.operations.choosing import open_boxes
from storefront.operations.skips import read_coming


@dataclass(frozen=True, slots=True)
class AllergyPage:
    """The words of the shop's products with whether each is avoided."""

    subscription: str
    plan: str
    words: tuple[tuple[str, bool], ...]

    @property
    def is_answered(self) -> bool:
        """Return whether anything is avoided by now."""
        return any(avoided for _word, avoided in self.words)


def words_for_plans(
    session: AnySession, plan_ids: Iterable[int], avoided: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what who has these plans may say not to tolerate, with what is ``avoided`` by now.

    Nothing where no recipe of theirs holds an allergen and none is avoided.
    """
    known = set(avoided)
    if known or with_allergens(session, plan_ids):
        known |= set(words_of_products(session))
    return tuple(sorted(known))


def asks_allergies(session: AnySession, customer_id: int, subscription: str) -> bool:
    """Return whether there is anything to say about a subscription's boxes, or was said."""
    page = allergy_page(session, customer_id, subscription)
    return page is not None and bool(page.words)


def lost_choices(
    session: AnySession, customer_id: int, subscription: str, before: Collection[str], today: date
) -> list[Loss]:
    """Return what was chosen for coming boxes and does not come by what is answered now.

    ``before``: what was avoided until then.
    """
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(session, which, today)
    if not found:
        return []
    boxes = open_boxes(session, found[0], today)
    pairs = [(box, box) for box in boxes]
    return losses_of(session, found[0].row.id, pairs, frozenset(before))


def allergy_page(session: AnySession, customer_id: int, subscription: str) -> AllergyPage | None:
    """Return the page, None where the customer has no such subscription.

    Without words where no recipe of its plan holds an allergen and none was answered. Of one
    that has ended what was answered can be taken back, and nothing else is asked.
    """
    table, plan = table_of(Subscription), table_of(Plan)
    row = session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.plan_id, table.c.state, plan.c.name)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(
            table.c.public_id == subscription,
            table.c.customer_id == customer_id,
        )
    ).one_or_none()
    if row is None:
        return None
    avoided = avoided_by(session, [row.id]).get(row.id, frozenset())
    is_over = row.state in ENDED
    known = sorted(avoided) if is_over else words_for_plans(session, [row.plan_id], avoided)
    return AllergyPage(row.public_id, row.name, tuple((word, word in avoided) for word in known))
