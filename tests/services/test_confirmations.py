"""The page of a paid order, also of one that was paid before an order could have several boxes."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from storefront.models import Checkout
from storefront.models.base import table_of
from storefront.queries.checkout import confirmation
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.baskets import begin_with
from tests.support.orders import paid


def test_an_order_kept_without_its_boxes_is_shown_as_one_box(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    key = begin_with(rt, make.make_plan(rt))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    shown = confirmation(rt.session, key)
    table = table_of(Checkout)
    mine = table.c.public_id == key
    kept = dict(rt.session.execute(sa.select(table.c.quote).where(mine)).scalar_one())
    (box,) = kept.pop("boxes")
    # What was kept of the one box beside the order's own sums.
    before = {name: box[name] for name in ("full_minor", "charges", "cutoff_on", "ships_on")}
    rt.session.execute(sa.update(table).where(mine).values(quote=kept | before))
    rt.session.commit()

    found = confirmation(rt.session, key)

    assert found == shown
    assert found is not None
    assert [box.due.minor for box in found.boxes] == [2600]
    assert [on for box in found.boxes for on, _ in box.charges][:1] == [date(2027, 4, 12)]
