"""What no template may hold: the content policy, no-script use and forged forms depend on it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(
    path
    for folder in ("storefront/templates", "plugins")
    for path in (ROOT / folder).rglob("*.html")
)
COMMENT = re.compile(r"\{#.*?#\}|<!--.*?-->", re.DOTALL)
TAG = re.compile(r"<[a-zA-Z](?:\{\{.*?\}\}|\{%.*?%\}|\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.DOTALL)
FORM = re.compile(r"<form\b.*?</form>", re.DOTALL | re.IGNORECASE)


def is_mail(path):
    return "email" in path.parts


def scripts_in_attributes(text):
    """The policy blocks them, or htmx would build functions from text."""
    patterns = (r"\shx-on\b", r"\sdata-hx-on\b", r"\son[a-z]+\s*=", r"[\"'\s]js:", r"javascript:")
    return [found for pattern in patterns for found in re.findall(pattern, text)]


def inline_styles(text):
    return re.findall(r"\sstyle\s*=|<style\b", text)


def scripts_without_nonce(text):
    tags = [tag for tag in TAG.findall(text) if tag.lower().startswith("<script")]
    # A block of data runs nothing, and the policy for scripts does not ask for it.
    scripts = [tag for tag in tags if 'type="application/ld+json"' not in tag]
    return [tag for tag in scripts if "nonce=" not in tag or "src=" not in tag]


def links_to_nowhere(text):
    return re.findall(r"href\s*=\s*[\"'](?:#|)[\"']", text)


def posts_without_token(text):
    """Every form we read carries our token; one for another host (``data-elsewhere``) never."""
    forms = FORM.findall(text)
    posts = [f for f in forms if re.search(r"method\s*=\s*[\"']post", f, re.IGNORECASE)]
    return [form[:120] for form in posts if has_token(form) == needs_none(form)]


def needs_none(form):
    """A gateway's form, or one that ``register_without_token`` lists."""
    return "data-elsewhere" in form or "data-tokenless" in form


def has_token(form):
    return "csrf" in form or "hidden_tag" in form


def filters_in_triggers(text):
    triggers = re.findall(r"hx-trigger\s*=\s*\"([^\"]*)\"", text)
    return [trigger for trigger in triggers if "[" in trigger]


def deletes(text):
    """htmx 4 sends no form values with them, so also no token."""
    return re.findall(r"\shx-(?:delete|put|patch)\b", text)


def posts_that_need_the_script(text):
    """Beside hx-post there is always the same form in plain HTML, and one request at a time."""
    tags = [tag for tag in TAG.findall(text) if re.search(r"\shx-post\s*=", tag)]
    return [
        tag[:160]
        for tag in tags
        if not (
            tag.lower().startswith("<form")
            and re.search(r"\saction\s*=", tag)
            and re.search(r"method\s*=\s*[\"']post", tag, re.IGNORECASE)
            and re.search(r'hx-sync="this:(drop|queue last)"', tag)
            and "hx-target" in tag
        )
    ]


def gets_without_an_address(text):
    tags = [tag for tag in TAG.findall(text) if re.search(r"\shx-get\s*=", tag)]
    return [
        tag[:160]
        for tag in tags
        if tag.lower().startswith(("<a", "<form", "<button"))
        and not re.search(r"\s(href|action|formaction)\s*=", tag)
    ]


def pictures_without_text(text):
    tags = [tag for tag in TAG.findall(text) if tag.lower().startswith("<img")]
    return [tag for tag in tags if not re.search(r"\salt\s*=", tag)]


def ticked_before(text):
    """A box is ticked by who reads the page, or because they ticked it: never by the template."""
    boxes = [tag for tag in TAG.findall(text) if re.search(r"type=[\"']checkbox[\"']", tag)]
    plain = [re.sub(r"\{%\s*if.*?%\}.*?\{%\s*endif\s*%\}|\{\{.*?\}\}", "", tag) for tag in boxes]
    return [tag for tag in plain if re.search(r"\schecked\b", tag)]


RULES = (
    ticked_before,
    scripts_in_attributes,
    scripts_without_nonce,
    links_to_nowhere,
    posts_without_token,
    filters_in_triggers,
    deletes,
    posts_that_need_the_script,
    gets_without_an_address,
    pictures_without_text,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_template_breaks(rule):
    broken = {str(path.relative_to(ROOT)): rule(source(path)) for path in TEMPLATES}
    assert {path: found for path, found in broken.items() if found} == {}


def test_only_mails_hold_inline_styles():
    broken = {str(p): inline_styles(source(p)) for p in TEMPLATES if not is_mail(p)}
    assert {path: found for path, found in broken.items() if found} == {}


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (scripts_in_attributes, '<a hx-on:click="x()">', '<p title="one on one">on = off</p>'),
        (scripts_in_attributes, '<p onclick="x()">', "<p>{{ shop.name }}</p>"),
        (scripts_in_attributes, "<a hx-vals='js:{a: 1}'>", "<a hx-vals='{\"a\": 1}'>"),
        (inline_styles, '<p style="color: red">', '<p class="style">'),
        (scripts_without_nonce, '<script src="/a.js"></script>', '<script src="a" nonce="b">'),
        (scripts_without_nonce, '<script nonce="b">x()</script>', '<script src="a" nonce="b">'),
        (scripts_without_nonce, '<script type="module">', '<script type="application/ld+json">'),
        (links_to_nowhere, '<a href="#">', '<a href="#main">'),
        (
            posts_without_token,
            '<form method="post" action="/x"><button></form>',
            '<form method="post">{{ forms.csrf() }}</form><form method="get"></form>',
        ),
        (
            posts_without_token,
            '<form method="post" action="{{ far }}" data-elsewhere>{{ forms.csrf() }}</form>',
            '<form method="post" action="{{ far }}" data-elsewhere><button></form>',
        ),
        (filters_in_triggers, '<a hx-trigger="keyup[key==1]">', '<a hx-trigger="every 3s">'),
        (deletes, '<button hx-delete="/x">', '<form hx-post="/x">'),
        (
            posts_that_need_the_script,
            '<button hx-post="/x">',
            '<form method="post" action="/x" hx-post="/x" hx-target="#x" hx-sync="this:drop">',
        ),
        (
            posts_that_need_the_script,
            '<form method="post" action="/x" hx-post="/x" hx-target="#x">',
            "<form method='post' action='/x'>",
        ),
        (gets_without_an_address, '<a hx-get="/x">', '<a href="/x" hx-get="/x">'),
        (
            ticked_before,
            '<input type="checkbox" name="offers" checked>',
            '<input type="checkbox"{% if on %} checked{% endif %}><input type="radio" checked>',
        ),
        (pictures_without_text, '<img src="{{ a > b }}">', '<img src="/x" alt="">'),
    ],
)
def test_a_rule_sees_what_it_forbids_and_nothing_else(rule, bad, good):
    assert rule(bad)
    assert not rule(good)


def test_there_are_templates_to_look_at():
    assert len(TEMPLATES) > 15


def source(path):
    return COMMENT.sub("", path.read_text(encoding="utf-8"))
