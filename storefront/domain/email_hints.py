"""Guess which e-mail address was meant where one was mistyped; only ever a suggestion."""

from __future__ import annotations

#: Domains of mailboxes that many people have, where the shop's readers live.
KNOWN = frozenset((
    "a1.net", "aol.com", "arcor.de", "bluewin.ch", "email.com", "email.de", "fastmail.com",
    "free.fr", "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.fr",
    "gmx.net", "googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de",
    "hotmail.es", "hotmail.fr", "hotmail.it", "icloud.com", "kabelmail.de", "kpnmail.nl",
    "laposte.net", "libero.it", "live.at", "live.com", "live.de", "live.fr", "live.nl",
    "mac.com", "mail.com", "mail.de", "mailbox.org", "me.com", "msn.com", "neuf.fr",
    "o2online.de", "online.de", "online.no", "orange.fr", "outlook.at", "outlook.com",
    "outlook.de", "outlook.es", "outlook.fr", "posteo.de", "posteo.net", "proton.me",
    "protonmail.com", "rocketmail.com", "sfr.fr", "t-online.de", "telenet.be", "unitybox.de",
    "vodafone.de", "wanadoo.fr", "web.de", "yahoo.co.uk", "yahoo.com", "yahoo.de", "yahoo.es",
    "yahoo.fr", "yahoo.it", "ymail.com", "zeelandnet.nl", "ziggo.nl",
))  # fmt: skip
#: Shorter domains differ by one letter from too many others.
_SHORTEST = 6
#: From this length on, two slips still leave no doubt.
_LONG = 9
#: Endings that do not exist and are easily typed.
_ENDINGS = frozenset(("cim", "clm", "cmo", "comm", "con", "cpm", "ocm", "vom", "xom"))
#: Firms that give out mailboxes in many countries: any country's ending is theirs.
_WORLDWIDE = frozenset(("gmx", "hotmail", "live", "outlook", "yahoo"))


def likely_meant(address: str) -> str | None:
    """Return the address that was probably meant, or None when nothing looks wrong.

    A domain is compared with those that many people use; one letter missing, doubled, changed
    or two swapped is a slip (two slips in a long name). A domain that is known is never doubted.

    >>> likely_meant("ada@gmial.com"), likely_meant("ada@example.con"), likely_meant("ada@web.de")
    ('ada@gmail.com', 'ada@example.com', None)
    """
    local, at, domain = address.strip().rpartition("@")
    domain = domain.lower()
    if not (local and at and domain) or domain in KNOWN or _is_of_a_country(domain):
        return None
    meant = _nearest(domain) or _with_real_ending(domain)
    return f"{local}@{meant}" if meant else None


def _is_of_a_country(domain: str) -> bool:
    name, _dot, ending = domain.rpartition(".")
    return name in _WORLDWIDE and len(ending) == 2


def _nearest(domain: str) -> str | None:
    """Return the one known domain that is clearly nearer than any other."""
    found = sorted(
        (slips, known)
        for known in KNOWN
        if len(known) >= _SHORTEST
        and (slips := _slips(domain, known)) <= (2 if len(known) >= _LONG else 1)
    )
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return None
    return found[0][1]


def _with_real_ending(domain: str) -> str | None:
    name, dot, ending = domain.rpartition(".")
    return f"{name}.com" if name and dot and ending in _ENDINGS else None


def _slips(typed: str, meant: str) -> int:
    """Return how many letters were added, left out, changed or swapped with their neighbour.

    The optimal string alignment distance (Damerau 1964, restricted to one edit a pair).

    >>> _slips("gmial.com", "gmail.com"), _slips("gmailcom", "gmail.com")
    (1, 1)
    """
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(meant, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == meant[j - 2] and typed[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
