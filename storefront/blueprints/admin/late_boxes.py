"""Ask for a late change for a subscriber who wrote or called."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.late_desk import Desk
from storefront.domain import permissions as may
from storefront.queries.late_changes import LateBox, late_box_of
from storefront.security import register_policy, staff
from storefront.services import late_changes
from storefront.services.late_changes import Wish

register_policy(
    dict.fromkeys(("admin.box_late", "admin.box_late_contents"), staff(may.BOXES_MANAGE))
)


def add_late_boxes(bp: Blueprint) -> None:
    """Add the pages on which staff ask for the owner of a box."""
    ways = ["GET", "POST"]
    bp.add_url_rule("/boxes/<box>/late", "box_late", late, methods=ways)
    bp.add_url_rule("/boxes/<box>/late/contents", "box_late_contents", contents, methods=ways)


def late(box: str) -> Response:
    """Show what can be asked of the box, or put it into the queue."""
    desk = _desk(box)
    return desk.act() if request.method == "POST" else desk.look()


def contents(box: str) -> Response:
    """Show what may be in the box instead, or put that into the queue."""
    desk = _desk(box)
    return desk.act_inside() if request.method == "POST" else desk.look_inside()


def _desk(box: str) -> Desk:
    rt = runtime()

    def find() -> LateBox | None:
        return late_box_of(rt.session, box, rt.today())

    def ask(wish: Wish) -> str:
        return late_changes.ask_late_for(rt, who(), box, wish)

    back = url_for("admin.box", box=box)

    def show(name: str, status: int, **context: object) -> Response:
        return page(f"boxes/{name}", status, back=back, **context)

    here = url_for("admin.box_late", box=box)
    inside = url_for("admin.box_late_contents", box=box)
    return Desk(find, ask, show, here, inside, by_staff=True)
