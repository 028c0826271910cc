"""A coming box as the mail before its cut-off tells of it, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass

from storefront.database import AnySession
from storefront.domain.tax_treatment import TaxRules
from storefront.operations.moment import Moment
from storefront.queries.addons import your_box
from storefront.queries.box_rows import BoxRow, box_rows
from storefront.queries.choices import coming_at
from storefront.queries.contents import Contents, next_contents
from storefront.queries.next_payment import read_costs


@dataclass(frozen=True, slots=True)
class BoxSoon:
    """The box as the account shows it."""

    plan: str
    row: BoxRow
    contents: Contents
    #: Something can be added that comes with this box.
    can_add: bool


def box_soon(
    session: AnySession,
    customer_id: int,
    subscription: str,
    cycle: str,
    moment: Moment,
    taxes: TaxRules,
) -> BoxSoon | None:
    """Return the customer's box of ``cycle``; None where it cannot be changed by now."""
    found = coming_at(session, customer_id, subscription, cycle, moment)
    if found is None:
        return None
    coming, at = found
    rows = box_rows(coming, read_costs(session, [coming], taxes), moment)
    row = next((one for one in rows if one.cycle == cycle and one.can_change), None)
    if row is None:
        return None
    key = (coming.row.id, at.id)
    contents = next_contents(session, [coming], {coming.row.id: [at.id]})[key]
    # What is added is charged with the next payment, so it comes with a box that is not paid.
    can_add = False
    if row.charge_on is not None and not row.covered:
        beside = your_box(session, customer_id, subscription, moment, taxes)
        can_add = bool(beside.offered) and not beside.refused
    return BoxSoon(coming.row.plan_name, row, contents, can_add)
