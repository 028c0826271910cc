"""Whom a customer's invoices are made out to."""

from __future__ import annotations

from collections.abc import Mapping

from storefront.database import retrying
from storefront.operations.billing import change_billing
from storefront.runtime import Runtime


def save_billing(rt: Runtime, customer_id: int, billing: Mapping[str, str]) -> None:
    """Make invoices from the next one on out to ``billing``; nothing: to where the boxes go."""

    def write() -> None:
        change_billing(rt.session, customer_id, billing)
        rt.session.commit()

    retrying(rt.session, write)
