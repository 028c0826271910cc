"""What hangs on the catalogue alone, read once by each process for each version of it.

The version stands in the settings, which each request reads first, and whoever changes anything
of the catalogue raises it in the same transaction: what is read after the version is as new as
the version, so a change of any process shows at the next request.
Source: docs/decisions/0242-statements-built-once.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from flask import current_app

from storefront.database import is_reading
from storefront.domain.shipping import Delivery
from storefront.operations.shipping import read_delivery
from storefront.queries.suggestions import Assortment, read_assortment
from storefront.runtime import Runtime

T = TypeVar("T")
_KEPT = "storefront_of_catalogue"
#: Things that a process keeps; with more it begins anew.
_MOST = 64
#: Whatever the version says, nothing is kept for longer, so that what somebody wrote into the
#: database by hand is seen too.
_KEEP_SECONDS = 60


def of_catalogue(rt: Runtime, name: Hashable, read: Callable[[], T]) -> T:
    """Return what ``read`` says of the catalogue, kept under ``name`` until its version changes.

    A request that may write asks the database: it sees changes of its own that may be taken back.
    """
    if not is_reading():
        return read()
    kept: dict[Hashable, tuple[Any, Any]] = current_app.extensions.setdefault(_KEPT, {})
    version = (rt.shop.catalogue_version, int(rt.now().timestamp()) // _KEEP_SECONDS)
    known, value = kept.get(name, (None, None))
    if known == version:
        return cast("T", value)
    found = read()
    if len(kept) >= _MOST:
        kept.clear()
    kept[name] = (version, found)
    return found


def assortment_of(rt: Runtime) -> Assortment:
    """Return what can be suggested to subscribers."""
    return of_catalogue(rt, "assortment", lambda: read_assortment(rt.session))


def delivery_of(rt: Runtime) -> Delivery:
    """Return the zones of delivery, their prices and the weights of boxes."""
    return of_catalogue(rt, "delivery", lambda: read_delivery(rt.session))
