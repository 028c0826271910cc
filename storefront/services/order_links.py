"""Mail somebody a link to go on later with the order they began. Only who asks gets one."""

from __future__ import annotations

from enum import StrEnum

from storefront.database import retrying
from storefront.operations.checkout import find_checkout
from storefront.operations.order_links import mail_link
from storefront.runtime import Runtime


class Mailed(StrEnum):
    """What became of a wish for a link."""

    DONE = "done"
    #: The order got as many links as one may.
    ENOUGH = "enough"
    #: The order is not open, or nobody said where to.
    NOTHING = "nothing"


def mail_order_link(rt: Runtime, key: str, total: int | None) -> Mailed:
    """Mail the link to an open order to the e-mail it names.

    ``total`` is what it comes to now, in minor units, so that the link can say what changed.
    """

    def write() -> Mailed:
        row = find_checkout(rt.session, key, lock=True)
        if row is None or row.state != "open" or not row.email:
            rt.session.rollback()
            return Mailed.NOTHING
        done = mail_link(rt.session, row, total, rt.now())
        rt.session.commit()
        return Mailed.DONE if done else Mailed.ENOUGH

    return retrying(rt.session, write)
