"""The admin as a whole: every address asks for its permission, and nothing typed breaks a page."""

from __future__ import annotations

import re

import pytest
from flask import Flask, url_for
from werkzeug.routing import Rule

from storefront.domain.permissions import ALL, FIRST_ROLES
from storefront.runtime import Runtime
from storefront.security import POLICY
from storefront.testing import factories as make
from tests.support.admin import PARTIAL, Desk, desk
from tests.support.databases import Database

#: What the two databases and their drivers may take differently.
HARD_TO_STORE = (
    "a\x00b",
    "'; DROP TABLE plan; --",
    "\U0001f916" * 50,
    "x" * 5000,
    "-1",
    "99999999999999999999",
    "%s %(x)s {x} {{ 7 * 7 }}",
)
#: What only pages, forms and templates could stumble over.
HARD_TO_SHOW = (
    "\x00",
    "<script>alert(1)</script>",
    "\u202etxet",
    "1e9",
    "²",
    "../../etc/passwd",
    "\r\nSet-Cookie: a=b",
)


@pytest.fixture
def nasty_values(database: Database) -> tuple[str, ...]:
    """All on SQLite; on PostgreSQL those that reach the database as they are."""
    return HARD_TO_STORE if database.kind == "postgresql" else HARD_TO_STORE + HARD_TO_SHOW


def admin_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("admin.")]


def address(app: Flask, rule: Rule, value: str = "x") -> str:
    """Build the rule's address with ``value`` wherever it takes one."""
    values = {
        name: 7 if rule._converters[name].__class__.__name__ == "IntegerConverter" else value
        for name in rule.arguments
    }
    with app.test_request_context():
        return url_for(rule.endpoint, **values)


def test_every_page_asks_for_a_permission_that_exists(app: Flask) -> None:
    open_to_all = {"admin.sign_in", "admin.sign_out", "admin.today", "admin.worklist"}
    open_to_all |= {"admin.design", "admin.profile", "admin.profile_end"}
    open_to_all |= {"admin.profile_end_others", "admin.two_step", "admin.second_step"}
    for rule in admin_rules(app):
        access = POLICY[rule.endpoint]
        if rule.endpoint not in open_to_all:
            assert access.kind == "staff", rule.endpoint
            assert access.permission in ALL, rule.endpoint


def test_a_role_gets_no_further_than_its_permissions(app: Flask, rt: Runtime) -> None:
    for role in ("support", "fulfilment"):
        browser = desk(app, rt, role)
        mine = FIRST_ROLES[role][1]
        for rule in admin_rules(app):
            permission = POLICY[rule.endpoint].permission
            if not permission or permission in mine:
                continue
            path = address(app, rule)
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                send = browser.get if method == "GET" else browser.post
                assert send(path).status_code == 403, (role, method, path)


def test_nobody_gets_in_without_signing_in(app: Flask) -> None:
    stranger = app.test_client()
    for rule in admin_rules(app):
        if rule.endpoint in {"admin.sign_in", "admin.sign_out"}:
            continue
        path = address(app, rule)
        if "GET" in (rule.methods or set()):
            answer = stranger.get(path)
            assert answer.status_code == 303, path
            assert "/admin/sign-in" in answer.location
        assert stranger.post(path, headers=PARTIAL).status_code in {400, 401, 405}, path


def test_nothing_in_an_address_breaks_a_page(
    app: Flask, rt: Runtime, nasty_values: tuple[str, ...]
) -> None:
    browser = desk(app, rt)
    make.make_plan(rt)
    for nasty in nasty_values:
        for rule in admin_rules(app):
            if rule.arguments and "GET" in (rule.methods or set()):
                path = address(app, rule, nasty.replace("/", "-"))
                assert browser.get(path).status_code < 500, path
        for name in ("q", "state", "plan", "renews", "price", "older", "newer", "kind", "topic"):
            for page in ("subscribers", "outbox", "search", "log"):
                answer = browser.get(f"/admin/{page}", query_string={name: nasty, "below": nasty})
                assert answer.status_code < 500, (page, name, nasty)


def fields_of(form: str) -> list[str]:
    return re.findall(r'<(?:input|select|textarea)[^>]*? name="([^"]+)"', form)


def forms_of(browser: Desk, page: str) -> list[tuple[str, list[str]]]:
    """Return the address and the fields of every form of a page that changes something."""
    found = []
    for form in re.findall(r"<form\b.*?</form>", browser.get(page).text, re.DOTALL):
        action = re.search(r'action="([^"]+)"', form)
        assert action is not None
        if 'method="post"' not in form or "sign-out" in action[1] or "walk" in action[1]:
            continue
        fields = [name for name in fields_of(form) if name != "csrf_token"]
        found.append((action[1].replace("&amp;", "&"), fields))
    return found


def test_nothing_typed_into_a_form_breaks_a_page(
    app: Flask, rt: Runtime, nasty_values: tuple[str, ...]
) -> None:
    browser = desk(app, rt)
    plan = make.make_plan(rt)
    make.make_options(rt, plan)
    make.make_code(rt)
    pages = (
        f"/admin/plans/{plan.public_id}",
        "/admin/plans/new",
        "/admin/cycle-groups/new",
        "/admin/codes/new",
        "/admin/settings",
    )
    # A form that several pages show (of the notices, say) is tried once.
    forms = {action: fields for page in pages for action, fields in forms_of(browser, page)}
    assert len(forms) >= len(pages)
    for nasty in nasty_values:
        for action, fields in forms.items():
            answer = browser.post(action, dict.fromkeys(fields, nasty))
            assert answer.status_code < 500, (action, nasty)
            assert "<script>alert" not in answer.text, action
