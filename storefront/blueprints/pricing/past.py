"""Boxes that have left: all of them with their contents, one in detail, and pictures to share.

Source: docs/decisions/0244-past-boxes-and-pictures-to-share.md.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, abort, current_app, make_response, request

from storefront.adapters.raster import png_of
from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.opened import codes_of_visit
from storefront.merchant_texts import said
from storefront.navigation import page_url
from storefront.pictures import palette_of, share_svg
from storefront.queries.past_boxes import Gallery, gallery, past_box
from storefront.queries.pricing import is_sold
from storefront.security import PUBLIC, register_policy

Answer = Callable[[str, Callable[[], Mapping[str, Any]]], Response]
Item = tuple[str, str | None]

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEY = re.compile(r"[0-9A-Za-z-]{1,16}")
_REF = re.compile(r"[0-9A-Za-z_]{1,40}")
_FIRST_YEAR, _LAST_YEAR = 2000, 2999
_PICTURES = "storefront_share_pictures"
#: Pictures that each process keeps, of some 30 KB.
_MOST = 64
register_policy(
    {
        "pricing.past_boxes": PUBLIC,
        "pricing.past_box": PUBLIC,
        "pricing.past_picture": PUBLIC,
        "pricing.plan_picture": PUBLIC,
    }
)


def add_past(bp: Blueprint, answer: Answer) -> None:
    """Add the pages of past boxes to the blueprint of the shop window; ``answer`` keeps them."""

    @bp.get("/past-boxes")
    def past_boxes() -> Response:
        """All boxes that have left, narrowed to a plan or a year."""
        return answer("past_boxes", _gallery_values)

    @bp.get("/past-boxes/<code>/<key>")
    def past_box(code: str, key: str) -> Response:
        """One box that has left."""
        _check(code, key)
        return answer(f"past_box/{code}/{key}", lambda: _box_values(code, key))

    @bp.get("/past-boxes/<code>/<key>/picture.png")
    def past_picture(code: str, key: str) -> Response:
        """The picture of a box that has left, for links that are shared."""
        _check(code, key)
        return _past_picture(code, key)

    @bp.get("/plans/<code>/picture.png")
    def plan_picture(code: str) -> Response:
        """The picture of a plan, for links that are shared."""
        if not _CODE.fullmatch(code) or not _is_sold(code):
            abort(404)
        return _picture(code, ())


def _is_sold(code: str) -> bool:
    rt = runtime()
    return is_sold(rt.session, code, rt.today(), codes_of_visit())


def _check(code: str, key: str) -> None:
    if not _CODE.fullmatch(code) or not _KEY.fullmatch(key):
        abort(404)


def _gallery_values() -> Mapping[str, Any]:
    rt = runtime()
    plan, year, after = _asked()
    page = gallery(rt.session, rt.today(), plan=plan, year=year, after=after)
    return {
        "page": page,
        "plan": plan,
        "year": year,
        "older": _address(plan, year, page.older) if page.older else "",
        "newest": _address(plan, year) if page.is_later else "",
        "by_plan": _by_plan(page, plan, year),
        "by_year": _by_year(page, plan, year),
        "box_url": _box_url,
        "canonical": external_url("pricing.past_boxes"),
        "structured": None,
        "share_picture": _newest_picture(page),
        # Views of one list: only the whole of it is worth finding.
        "is_unlisted": bool(plan or year or after),
    }


def _box_values(code: str, key: str) -> Mapping[str, Any]:
    rt = runtime()
    page = past_box(rt.session, code, key, rt.today())
    if page is None:
        abort(404)
    return {
        "page": page,
        "box": page.box,
        "box_url": _box_url,
        "plan_url": page_url("pricing.plan", code=code),
        "canonical": external_url("pricing.past_box", code=code, key=key),
        "structured": None,
        "share_picture": external_url("pricing.past_picture", code=code, key=key),
    }


def _asked() -> tuple[str, int | None, str]:
    """Return the plan, the year and the place that are asked for; what is odd asks nothing."""
    args = request.args
    plan, year, after = args.get("plan", ""), args.get("year", ""), args.get("after", "")
    number = int(year) if year.isascii() and year.isdigit() and len(year) == 4 else 0
    return (
        plan if _CODE.fullmatch(plan) else "",
        number if _FIRST_YEAR <= number <= _LAST_YEAR else None,
        after if _REF.fullmatch(after) else "",
    )


def _by_plan(page: Gallery, plan: str, year: int | None) -> list[tuple[str, str, bool]]:
    """Return (name, address, is here) of each plan that has past boxes."""
    return [(said(name), _address(code, year), code == plan) for code, name in page.plans]


def _by_year(page: Gallery, plan: str, year: int | None) -> list[tuple[str, str, bool]]:
    return [(str(each), _address(plan, each), each == year) for each in page.years]


def _address(plan: str, year: int | None, after: str = "") -> str:
    narrowed = {"plan": plan or None, "year": year, "after": after or None}
    return page_url("pricing.past_boxes", **narrowed)


def _box_url(code: str, key: str) -> str:
    return page_url("pricing.past_box", code=code, key=key)


def _newest_picture(page: Gallery) -> str:
    if not page.boxes:
        return ""
    box = page.boxes[0]
    return external_url("pricing.past_picture", code=box.plan_code, key=box.key)


def _past_picture(code: str, key: str) -> Response:
    rt = runtime()
    page = past_box(rt.session, code, key, rt.today())
    if page is None:
        abort(404)
    box = page.box
    items = [(sku, kind.replace("_", "-")) for _name, sku, kind in box.items]
    return _picture(box.plan_code + box.shipped_on.isoformat(), items)


def _picture(seed: str, items: Sequence[Item]) -> Response:
    kept: OrderedDict[Any, bytes] = current_app.extensions.setdefault(_PICTURES, OrderedDict())
    palette = palette_of(runtime().shop.look)
    key = (seed, tuple(items), palette)
    data = kept.get(key)
    if data is None:
        data = kept[key] = png_of(str(share_svg(seed, items, palette)))
        while len(kept) > _MOST:
            kept.popitem(last=False)
    response = make_response(data)
    response.mimetype = "image/png"
    response.headers["Cache-Control"] = "public, max-age=86400"
    response.set_etag(hashlib.sha256(data).hexdigest()[:24])
    response.make_conditional(request)
    return response
