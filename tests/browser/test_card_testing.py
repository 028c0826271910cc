"""Too many declined cards, on a phone: with and without the script, and what staff see of it."""

import pytest
import sqlalchemy as sa

from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.runtime import Runtime
from tests.browser.axe import axe_findings
from tests.browser.people import PAY, order, order_until_pay, pay, sign_in_as_owner
from tests.browser.support import PHONE, LiveShop, Visitor

pytestmark = pytest.mark.browser

STOPPED = "Too many cards were declined here within an hour."


def let_few_through(shop: LiveShop) -> None:
    def write(rt: Runtime) -> None:
        few = {"declines_person": 4, "declines_address": 4, "declines_alarm": 4}
        rt.session.execute(sa.update(table_of(ShopSettings)).values(**few))
        rt.session.commit()
        rt.forget_shop()

    shop.do(write)


@pytest.mark.parametrize("script", [True, False])
def test_who_is_stopped_reads_why_and_keeps_the_order(chromium, live, script):
    let_few_through(live)
    with Visitor(chromium, live, PHONE, script=script) as ada:
        order_until_pay(ada)
        for _try in range(4):
            order(ada)
            pay(ada, "9995")
            ada.see("Review and pay")

        ada.choose("I agree that")
        ada.guard.expect("422" if script else "429")
        ada.press(PAY)
        if script:
            ada.page.wait_for_function("document.querySelector('#consent').checked")
        told = ada.see("Review and pay")

        assert STOPPED in told
        assert "Lindenweg 4" in told
        assert ada.page.locator("#consent").is_checked()
        assert live.bank.executed_count() == 0
        if script:
            assert axe_findings(ada.page) == []
        sign_in_as_owner(ada)
        ada.page.get_by_role("link", name="What to do").first.click()
        assert "So many cards were declined" in ada.see("Declined cards")
        if script:
            assert axe_findings(ada.page) == []
