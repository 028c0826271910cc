"""What the pages behind mailed links show: no name, no e-mail, no street. Links are passed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.address_lines import address_lines
from storefront.domain.lifecycle import RUNNING
from storefront.domain.skip_limits import SkipLimits
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Address, BoxCycle, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.action_links import skips_made, times_confirmed
from storefront.operations.moment import Moment
from storefront.operations.skip_room import skip_limits
from storefront.queries.box_rows import BoxRow, box_rows
from storefront.queries.choices import coming_at
from storefront.queries.next_payment import read_costs

#: ``open`` it can be skipped; ``skipped`` it is; ``kept`` the plan allows no such skip; ``late`` it
#: is being packed, or there is no such box.
SkipStanding = Literal["open", "skipped", "kept", "late"]


@dataclass(frozen=True, slots=True)
class SkipAsked:
    """A box that a link asks to skip; ``row`` as its owner's account shows it."""

    customer_id: int
    plan: str
    standing: SkipStanding
    row: BoxRow | None
    limits: SkipLimits
    #: How often it was skipped.
    done: int


@dataclass(frozen=True, slots=True)
class AddressAsked:
    """Where the boxes of a subscription go, as far as a link tells: the town."""

    public_id: str
    city: str
    plan: str
    runs: bool
    #: How often somebody said that it is right.
    done: int


def skip_asked(
    session: AnySession, subscription: str, cycle: str, moment: Moment, taxes: TaxRules
) -> SkipAsked | None:
    """Return the box of a link; None where nobody has that subscription or it no such cycle."""
    table = table_of(Subscription)
    owner = session.scalar(sa.select(table.c.customer_id).where(table.c.public_id == subscription))
    found = coming_at(session, owner, subscription, cycle, moment) if owner else None
    if owner is None or found is None:
        return None
    coming, at = found
    rows = box_rows(coming, read_costs(session, [coming], taxes), moment)
    row = next((one for one in rows if one.cycle == cycle), None)
    standing: SkipStanding = "late"
    if at.id in coming.skips:
        standing = "skipped"
    elif row is not None and row.can_change:
        standing = "open" if row.can_skip else "kept"
    done = skips_made(session, coming.row.id, at.key)
    return SkipAsked(owner, coming.row.plan_name, standing, row, skip_limits(coming), done)


def address_asked(session: AnySession, subscription: str) -> AddressAsked | None:
    """Return where a subscription's boxes go; None where there is no such, or no address."""
    table, address, plan = table_of(Subscription), table_of(Address), table_of(Plan)
    row = session.execute(
        sa.select(table.c.id, table.c.state, address.c.public_id, address.c.city, plan.c.name)
        .join(address, address.c.id == table.c.address_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(table.c.public_id == subscription)
    ).one_or_none()
    if row is None:
        return None
    done = times_confirmed(session, row.id)
    return AddressAsked(row.public_id, row.city, row.name, row.state in RUNNING, done)


@dataclass(frozen=True, slots=True)
class AddressToCheck:
    """Where boxes go, in full, for a mail to who gets them."""

    public_id: str
    line: str
    done: int


def address_to_check(session: AnySession, subscription: str) -> AddressToCheck | None:
    """Return the address of a subscription as one line."""
    table, address = table_of(Subscription), table_of(Address)
    row = session.execute(
        sa.select(
            table.c.id,
            address.c.public_id,
            address.c.name,
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.postcode,
            address.c.city,
            address.c.region,
            address.c.country,
        )
        .join(address, address.c.id == table.c.address_id)
        .where(table.c.public_id == subscription)
    ).one_or_none()
    if row is None:
        return None
    line = ", ".join(address_lines(row._asdict()))
    return AddressToCheck(row.public_id, line, times_confirmed(session, row.id))


def skips_of(session: AnySession, subscription: str, cycle: str) -> int:
    """Return how often a subscription's box of a cycle was skipped, for the link of a mail."""
    table, round_ = table_of(Subscription), table_of(BoxCycle)
    row = session.execute(
        sa.select(table.c.id, round_.c.key)
        .join(round_, round_.c.public_id == cycle)
        .where(table.c.public_id == subscription)
    ).one_or_none()
    return skips_made(session, row.id, row.key) if row else 0
