"""Which sites may show the shop's plans inside their own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from storefront.domain.errors import DomainError

#: Every one stands in a header of the page that is shown there.
MOST_SITES = 20
_LONGEST = 120
#: Reached without a network, so nobody can change the page on its way.
_OWN_MACHINE = {"localhost", "127.0.0.1"}
_PORTS = {"https": 443, "http": 80}
_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-.")


class NotASite(DomainError):
    """A line that is no address of a site: with a wildcard, without https, misspelt."""

    code = "not_a_site"

    def __init__(self, line: str) -> None:
        super().__init__(line=line)
        self.line = line


class TooManySites(DomainError):
    """More sites than fit into one header."""

    code = "too_many_sites"


def sites_of(text: str) -> tuple[str, ...]:
    """Return the origins named in ``text``, one a line, each once, in their order.

    Any page of a site names it. Raises ``NotASite`` for the first line that names none, and
    ``TooManySites``.

    >>> sites_of("https://Tea.example/shop?x=1\\n\\nhttp://localhost:8000\\nhttps://tea.example:443")
    ('https://tea.example', 'http://localhost:8000')
    """
    lines = (line.strip() for line in text.splitlines())
    found = tuple(dict.fromkeys(_origin(line) for line in lines if line))
    if len(found) > MOST_SITES:
        raise TooManySites
    return found


def _origin(line: str) -> str:
    try:
        parts = urlsplit(line)
        host, port = parts.hostname or "", parts.port
        host = host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise NotASite(line) from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _OWN_MACHINE)
    named = "." in host.strip(".") or host in _OWN_MACHINE
    if not safe or not named or set(host) - _LETTERS or "@" in parts.netloc:
        raise NotASite(line)
    origin = f"{parts.scheme}://{host}"
    if port is not None and port != _PORTS[parts.scheme]:
        origin = f"{origin}:{port}"
    if len(origin) > _LONGEST:
        raise NotASite(line)
    return origin
