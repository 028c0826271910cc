"""Change what a packed box holds: take items out, put others in, freeze its papers anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.customs import is_declared
from storefront.domain.late_contents import lying_after
from storefront.domain.packing import Problem
from storefront.models import Box, BoxItem, Product, ProductVariant
from storefront.models.base import table_of
from storefront.operations.customs import declared, seller_country_of, weighed
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.stock import Allocation, allocate, release_items, stock_of


@dataclass(frozen=True, slots=True)
class Lying:
    """An item of a packed box; ``origin`` as ``box_item.origin``."""

    id: int
    pieces: int
    origin: str


def lying_in(session: AnySession, box_id: int) -> dict[int, Lying]:
    """Return the items of a box by variant, in the order in which they were put in."""
    item = table_of(BoxItem)
    rows = session.execute(
        sa.select(item.c.id, item.c.variant_id, item.c.quantity, item.c.origin)
        .where(item.c.box_id == box_id)
        .order_by(item.c.id)
    )
    return {row.variant_id: Lying(row.id, row.quantity, row.origin) for row in rows}


def repack(
    session: AnySession,
    row: AnyRow,
    lying: Mapping[int, Lying],
    now: Mapping[int, int],
    then: Mapping[int, int],
    origins: Mapping[int, str],
    actor: str,
    moment: Moment,
) -> None:
    """Let a packed box hold ``then`` in place of its share ``now``; what lies beside it stays.

    ``row`` is the box, locked, in no batch. What goes is released and kept apart, as its moves of
    stock name it; what comes is allocated. Weight, customs lines and names for the papers are
    frozen anew. Raises ``StockTooLow``.
    """
    after = lying_after({key: one.pieces for key, one in lying.items()}, now, then)
    stock = stock_of(session, {*after, *lying})
    gone = [one.id for key, one in lying.items() if after.get(key, 0) != one.pieces]
    fresh = [key for key in after if key not in lying or lying[key].pieces != after[key]]
    item = table_of(BoxItem)
    release_items(session, gone, moment.now, actor, "late change")
    session.execute(
        sa.update(item).where(item.c.id.in_(gone)).values(box_id=None, taken_from_id=row.id)
    )
    keys = dict(zip(fresh, reserve(session, BoxItem, len(fresh)), strict=True))
    if fresh:
        session.execute(
            sa.insert(item),
            [
                {
                    "id": keys[key],
                    "box_id": row.id,
                    "variant_id": key,
                    "quantity": after[key],
                    "origin": lying[key].origin if key in lying else origins.get(key, "recipe"),
                }
                for key in fresh
            ],
        )
    taken = [Allocation(keys[key], key, after[key]) for key in fresh if stock[key].is_counted]
    allocate(session, taken, moment.now, actor)
    contents = list(after.items())
    names = names_of(session, after)
    packing = {
        **row.packing,
        "contents": [[stock[key].sku, pieces] for key, pieces in contents],
        **weighed(contents, stock),
        "names": [names[key] for key, _pieces in contents],
        **declared(row.ship_to, contents, stock, seller_country_of(session)),
    }
    # One that did not fit a file may fit it now.
    problem = "" if row.problem == Problem.NO_FIT.value else row.problem
    box = table_of(Box)
    done: Any = session.execute(
        sa.update(box)
        .where(box.c.id == row.id, box.c.state == row.state, box.c.batch_id.is_(None))
        .values(packing=packing, problem=problem)
    )
    if done.rowcount != 1:
        raise RuntimeError(f"{row.public_id} changed meanwhile")


def packing_for(
    session: AnySession, box_id: int, packing: Mapping[str, Any], ship_to: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the packing of a packed box that goes to ``ship_to`` from now on.

    Inside a country too it may move to another customs area, such as the Canary Islands: then its
    lines for customs are frozen anew, or fall away. Lines it has and keeps stay as they are.
    """
    home = seller_country_of(session)
    place = (str(ship_to.get("country") or ""), str(ship_to.get("postcode") or ""))
    is_abroad = bool(place[0]) and is_declared(home, *place)
    if is_abroad == bool(packing.get("customs")):
        return dict(packing)
    bare = {name: value for name, value in packing.items() if name != "customs"}
    if not is_abroad:
        return bare
    contents = [(key, one.pieces) for key, one in lying_in(session, box_id).items()]
    stock = stock_of(session, {key for key, _pieces in contents})
    return bare | declared(ship_to, contents, stock, home)


def names_of(session: AnySession, variants: Iterable[int]) -> dict[int, str]:
    """Return what these products are called."""
    wanted = set(variants)
    if not wanted:
        return {}
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(wanted))
    )
    return {row.id: row.name for row in rows}
