"""Set-ups of payment methods, whoever opens them: silence of a gateway is noted and worded once."""

from typing import Any

import pytest
import sqlalchemy as sa

from storefront import vaulting
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import SetupOrder, SetupStart
from storefront.models import GatewaySetup
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.setups import new_setup
from storefront.paying import PaymentPartnerSilent
from storefront.runtime import Runtime
from storefront.services.methods import begin_card, finish_card
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway


def the_setup(rt: Runtime) -> AnyRow:
    row = rt.session.execute(sa.select(table_of(GatewaySetup))).one()
    rt.session.rollback()
    return row


def begun(rt: Runtime, gateway: DemoGateway) -> SetupOrder:
    owner = make.make_customer(rt)
    reference = new_setup(rt.session, gateway, rt.now(), customer_id=owner.id)
    rt.session.commit()
    return SetupOrder(reference, "https://shop.example/back", "https://shop.example/back")


@pytest.mark.parametrize("fault", ["raises", "no_page"])
def test_a_gateway_that_opens_no_page_leaves_an_unknown_set_up(
    rt: Runtime, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def begin_setup(order: SetupOrder) -> SetupStart:
        if fault == "raises":
            raise OSError("cut")
        return SetupStart(gateway_reference="seti_1")

    monkeypatch.setattr(demo_gateway, "begin_setup", begin_setup)
    owner = make.make_customer(rt)
    rt.session.commit()
    with pytest.raises(PaymentPartnerSilent):
        begin_card(rt, owner.id, "https://shop.example/back")
    row = the_setup(rt)
    known = "" if fault == "raises" else "seti_1"
    assert (row.state, row.redirect_url) == (AttemptState.UNKNOWN, "")
    assert row.gateway_reference == known


def test_a_page_that_opens_late_does_not_reopen_a_set_up_that_has_its_answer(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    asked = begun(rt, demo_gateway)
    table = table_of(GatewaySetup)
    rt.session.execute(sa.update(table).values(state=AttemptState.DECLINED))
    rt.session.commit()
    assert vaulting.open_page(rt, demo_gateway, asked)
    assert the_setup(rt).state == AttemptState.DECLINED


def test_a_gateway_that_does_not_say_changes_no_set_up(
    rt: Runtime, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = begun(rt, demo_gateway)
    vaulting.open_page(rt, demo_gateway, asked)
    before = the_setup(rt)

    def finish_setup(*_arguments: Any) -> None:
        raise OSError("cut")

    monkeypatch.setattr(demo_gateway, "finish_setup", finish_setup)
    with pytest.raises(PaymentPartnerSilent):
        finish_card(rt, before.customer_id, asked.reference, {})
    monkeypatch.setattr(demo_gateway, "account", "another")
    with pytest.raises(PaymentPartnerSilent):
        vaulting.outcome(rt, before, {})
    assert the_setup(rt) == before
