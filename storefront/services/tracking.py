"""Take in a shipping tool's tracking file, and say where parcels are followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.carriers.links import MOST_LINKS, MOST_NAME, is_link, plain_name
from storefront.domain.errors import DomainError
from storefront.domain.tracking_rows import read_called, read_tracking
from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.parcels import By, TrackingReport, take_rows
from storefront.runtime import Runtime


class BadLink(DomainError):
    """A carrier without a name, or an address that cannot be used; ``carrier`` names it."""

    code = "bad_link"


def take_tracking(
    rt: Runtime, data: bytes, *, carrier: str = "", who: Who | None = None, dry_run: bool = True
) -> TrackingReport:
    """Do what a file says, 100 boxes in a transaction; the same file again changes nothing.

    A row without a carrier takes ``carrier``. A row that cannot be is left out and told. A
    crash leaves whole slices done; the file taken again does the rest. Raises ``FileRefused``.
    """
    rows, issues = read_tracking(data)
    report = TrackingReport(len(rows) + len(issues), issues=list(issues), is_dry_run=dry_run)
    by = None if dry_run or who is None else By.staff(who)
    take_rows(rt, rows, report, by, carrier)
    return report


def take_called(rt: Runtime, items: Sequence[Any], caller: str) -> TrackingReport:
    """Do what a program's call says; ``caller`` is its key's public id, for the timeline.

    As with a file: the same call again changes nothing, and a row that cannot be is told.
    """
    rows, issues = read_called(items)
    report = TrackingReport(len(items), issues=list(issues), is_dry_run=False)
    take_rows(rt, rows, report, By.machine(caller))
    return report


def save_tracking_links(rt: Runtime, who: Who, links: Mapping[str, str]) -> bool:
    """Set the merchant's own tracking pages by carrier; False when they are so already.

    Raises ``BadLink``.
    """
    for carrier, address in links.items():
        if not plain_name(carrier) or len(carrier) > MOST_NAME or not is_link(address):
            raise BadLink(carrier=carrier)
    if len(links) > MOST_LINKS:
        raise BadLink(carrier="")

    def write() -> bool:
        table = table_of(ShopSettings)
        before = dict(rt.session.scalar(sa.select(table.c.tracking_links)) or {})
        if before == dict(links):
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(table).values(tracking_links=dict(links)))
        moment = rt.moment()
        audit.write(
            rt.session, who.id, "tracking.links", "shop", before, dict(links), moment, who.ip
        )
        rt.session.commit()
        rt.forget_shop()
        return True

    return retrying(rt.session, write)
