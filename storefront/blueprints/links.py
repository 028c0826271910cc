"""The pages behind links of mails that do one thing. Looking changes nothing; a POST acts.

Each acts through the use-case of the account, by the same rules.
Source: docs/decisions/0210-links-that-do-one-thing.md.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.words import refused, skipped
from storefront.blueprints.context import runtime
from storefront.blueprints.skip_words import skip_kept
from storefront.domain.errors import DomainError
from storefront.htmx import go, show
from storefront.operations.action_links import Link, read_link
from storefront.operations.secrets import ADDRESS, SKIP_BOX
from storefront.queries import action_links as query
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services import skips
from storefront.services.address_checks import NothingToConfirm, confirm_address

bp = Blueprint("links", __name__, url_prefix="/links")
register_policy({f"links.{name}": PUBLIC for name in ("skip_box", "do_skip", "address", "confirm")})
_FOLDER = "storefront/links"


@bp.get("/skip/<token>")
def skip_box(token: str) -> Response:
    """Show which box would be skipped and what that means."""
    link = _read(SKIP_BOX, token)
    found = _skip_asked(link)
    if link is None or found is None:
        return _page("gone", 404)
    kept = ""
    if found.standing == "kept" and found.row is not None:
        kept = skip_kept(found.row.kept, found.limits, found.row.year)
    is_used = found.done != link.done and found.standing == "open"
    return _page(
        "skip",
        token=token,
        one=found,
        kept=kept,
        standing="used" if is_used else "late" if _is_over(link, found) else found.standing,
        account=url_for("account.subscription", subscription=link.subscription),
    )


@bp.post("/skip/<token>")
def do_skip(token: str) -> Response:
    """Skip the box as the account does, if this link has not done so before."""
    rt, link = runtime(), _read(SKIP_BOX, token)
    found = _skip_asked(link)
    rt.session.rollback()
    _slow_down()
    to = url_for("links.skip_box", token=token)
    if link is None or found is None or link.is_expired or found.done != link.done:
        return go(to)
    try:
        done = skips.skip_box(rt, found.customer_id, link.subscription, link.thing)
    except DomainError as error:
        return go(to, refused(error) if error.code != "not_found" else None)
    return go(to, skipped(done))


@bp.get("/address/<token>")
def address(token: str) -> Response:
    """Ask whether boxes go to the right town; the mail has the whole address."""
    link = _read(ADDRESS, token)
    found = query.address_asked(runtime().session, link.subscription) if link else None
    if link is None or found is None:
        return _page("gone", 404)
    standing = "open"
    if not found.runs:
        standing = "over"
    elif found.public_id != link.thing:
        standing = "changed"
    elif found.done != link.done:
        standing = "used"
    elif link.is_expired:
        standing = "late"
    to = url_for("account.address", subscription=link.subscription)
    return _page("address", token=token, one=found, standing=standing, change=to)


@bp.post("/address/<token>")
def confirm(token: str) -> Response:
    """Write down that the address is right."""
    rt, link = runtime(), _read(ADDRESS, token)
    _slow_down()
    to = url_for("links.address", token=token)
    if link is None or link.is_expired:
        return go(to)
    try:
        confirm_address(rt, link)
    except NothingToConfirm:
        return go(to)
    return go(to, _("Thank you. We send your boxes there."))


def _read(purpose: str, token: str) -> Link | None:
    rt = runtime()
    return read_link(rt.settings.secret_keys, purpose, token, rt.now())


def _skip_asked(link: Link | None) -> query.SkipAsked | None:
    rt = runtime()
    if link is None:
        return None
    return query.skip_asked(rt.session, link.subscription, link.thing, rt.moment(), rt.shop.taxes)


def _is_over(link: Link, found: query.SkipAsked) -> bool:
    return link.is_expired and found.standing != "skipped"


def _slow_down() -> None:
    """Nobody clicks so often; a program trying out links does."""
    if throttle(runtime(), "link_ip", request.remote_addr or "", 60, 600):
        abort(429)


def _page(name: str, status: int = 200, **context: object) -> Response:
    return show(f"{_FOLDER}/{name}.html", f"{_FOLDER}/_{name}.html", status, **context)
