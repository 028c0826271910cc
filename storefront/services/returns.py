"""Put a box that came back aside, when nothing more is to be done about it."""

from __future__ import annotations

from storefront.database import retrying
from storefront.operations import audit, returns
from storefront.operations.audit import Who
from storefront.runtime import Runtime


def settle_return(rt: Runtime, box_ref: str, who: Who) -> bool:
    """Take a box that came back off the list; False when it is not on it."""

    def put_aside() -> bool:
        moment = rt.moment()
        is_done = returns.settle(rt.session, box_ref, who.public_id, moment)
        if is_done:
            audit.write(rt.session, who.id, "box.settled", box_ref, {}, {}, moment, who.ip)
        rt.session.commit()
        return is_done

    return retrying(rt.session, put_aside)
