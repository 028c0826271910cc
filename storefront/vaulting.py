"""The only way to a gateway's pages that store a payment method: open one, ask what came of it.

Each set-up is on disk before its gateway is asked, and no transaction is open while it is. What
a stored method is then used for is the use-case's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import sqlalchemy as sa

from storefront.charges import is_unlocked
from storefront.database import retrying
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import Gateway, SetupAnswer, SetupOrder
from storefront.models import GatewaySetup
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.setups import USABLE
from storefront.paying import PaymentPartnerSilent
from storefront.runtime import Runtime

log = logging.getLogger(__name__)


def open_page(rt: Runtime, gateway: Gateway, order: SetupOrder) -> str:
    """Open the set-up ``order.reference``, which is committed, and return the page's address.

    Repeating it leads to the same page. Raises ``PaymentPartnerSilent``; the set-up is unknown
    then, and what the gateway may have begun stores nothing by itself. A copy of a database that
    nobody confirmed asks nothing: some gateways take a first payment with the set-up.
    """
    if not is_unlocked(rt):
        raise PaymentPartnerSilent(gateway=gateway.name)
    reference, url = "", ""
    try:
        start = gateway.begin_setup(order)
        reference, url = start.gateway_reference, start.redirect_url or ""
    except Exception:
        log.exception("gateway %s opened no page for %s", gateway.name, order.reference)
    _note(rt, order.reference, url, reference)
    if not url:
        raise PaymentPartnerSilent(gateway=gateway.name)
    return url


def _note(rt: Runtime, setup: str, url: str, gateway_reference: str) -> None:
    table = table_of(GatewaySetup)
    state = AttemptState.ACTION_REQUIRED if url else AttemptState.UNKNOWN
    values: dict[str, object] = {"state": state, "redirect_url": url}
    if gateway_reference:
        values["gateway_reference"] = gateway_reference[:255]

    def write() -> None:
        rt.session.execute(
            sa.update(table)
            .where(table.c.public_id == setup, table.c.state.in_(USABLE))
            .values(values)
        )
        rt.session.commit()

    retrying(rt.session, write)


def outcome(rt: Runtime, setup: AnyRow, params: Mapping[str, str]) -> SetupAnswer:
    """Ask what became of a set-up (its row); nothing is written.

    Raises ``PaymentPartnerSilent`` while its gateway says nothing, is not installed, or this is
    a copy of a database that nobody confirmed.
    """
    gateway = rt.gateways.get(setup.gateway)
    if gateway is None or gateway.account != setup.account or not is_unlocked(rt):
        raise PaymentPartnerSilent(gateway=setup.gateway)
    try:
        return gateway.finish_setup(setup.public_id, params, setup.gateway_reference)
    except Exception as error:
        log.exception("gateway %s did not say what became of %s", setup.gateway, setup.public_id)
        raise PaymentPartnerSilent(gateway=setup.gateway) from error
