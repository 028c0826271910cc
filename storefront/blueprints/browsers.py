"""Names of browsers as people call them."""

from __future__ import annotations

from flask_babel import gettext as _

#: Marks in a browser's own name, the most telling first: several claim to be each other.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


def browser(user_agent: str) -> str:
    """Return a sign-in's browser as people call it: Firefox on Windows."""
    names = (*_BROWSERS, ("Safari", "Safari"))
    name = next((name for mark, name in names if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if name and system:
        return _("%(browser)s on %(system)s", browser=name, system=system)
    return name or system or _("Unknown browser")
