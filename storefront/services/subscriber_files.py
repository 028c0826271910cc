"""Note who took the list of subscribers out of the shop."""

from __future__ import annotations

from collections.abc import Mapping

from storefront.database import retrying
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.runtime import Runtime


def note_download(rt: Runtime, who: Who, kind: str, filters: Mapping[str, str]) -> None:
    """Write into the log that ``who`` downloads the list, and what it is narrowed to."""

    def write() -> None:
        data = {"format": kind, **filters}
        audit.write(
            rt.session, who.id, "subscribers.downloaded", "shop", {}, data, rt.moment(), who.ip
        )
        rt.session.commit()

    retrying(rt.session, write)
