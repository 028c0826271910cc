"""The named customers of the demo: each is left in a state worth looking at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from storefront.demo import catalogue
from storefront.demo.people import OneMore, Shopper
from storefront.models import BoxCycle, Customer
from storefront.models.base import table_of
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Member:
    """A named customer; ``role`` drives the story.

    ``months`` is how long ago they came; 0 is in the days since the last cut-off.
    """

    role: str
    name: str
    email: str
    plan: str
    interval: tuple[str, int]
    months: int
    options: tuple[tuple[str, str], ...] = ()
    code: str = ""
    #: Further boxes in the same order.
    more: tuple[OneMore, ...] = ()
    #: Street, postcode, town and country.
    lives: tuple[str, str, str, str] = ("Lindenweg 4", "07743", "Jena", "DE")

    def as_shopper(self) -> Shopper:
        """Return them as somebody who shops, and does nothing unasked afterwards."""
        return Shopper(
            name=self.name,
            email=self.email,
            address={
                "name": self.name,
                **dict(zip(("street", "postcode", "city", "country"), self.lives, strict=True)),
            },
            plan=self.plan,
            interval=self.interval,
            card="4242",
            options=dict(self.options),
            code=self.code,
            more=self.more,
            leaves=0,
            skips=0,
        )


@dataclass(frozen=True, slots=True)
class Present:
    """Three boxes that a member of the cast, ``giver``, gives to somebody new.

    ``months`` is how long ago it was ordered; 0 is two days before the end. One that is
    claimed was so on the day after.
    """

    giver: str
    name: str
    email: str
    message: str
    months: int
    is_claimed: bool


_USUAL, _FREE = (("caffeine", "usual"),), (("caffeine", "free"),)
_MONTHLY = ("month", 1)
_ALSO = (OneMore("cup", _MONTHLY),)
_VIENNA = ("Praterstraße 8", "1020", "Wien", "AT")
CAST = (
    Member("new", "Mara Lindner", "mara@example.org", "pot", _MONTHLY, 0, _USUAL, "LEMON"),
    Member("skips", "Theo Brandt", "theo@example.org", "pot", _MONTHLY, 8, _FREE),
    Member("past_due", "Nora Haas", "nora@example.org", "table", _MONTHLY, 6, _USUAL),
    Member("leaving", "Emil Roth", "emil@example.org", "cup", _MONTHLY, 10),
    Member("prepaid", "Yara Simon", "yara@example.org", "table", ("year", 1), 5, _FREE, "TWELVE"),
    Member(
        "two_boxes", "Ida Keller", "ida@example.org", "pot", _MONTHLY, 3, _USUAL, "", _ALSO, _VIENNA
    ),
)


PRESENTS = (
    Present(
        "prepaid",
        "Clara Simon",
        "clara@example.org",
        "Happy birthday, Clara! Put the kettle on and think of me.\nYara",
        1,
        is_claimed=True,
    ),
    Present(
        "two_boxes",
        "Paul Keller",
        "paul@example.org",
        "For the new flat: something warm until the heating works.\nIda",
        0,
        is_claimed=False,
    ),
)
#: Who waits for a place in the plan that is sold out.
WAITING = ("jette@example.org", "anton@example.org", "lina@example.org")


def email_of(role: str) -> str:
    """Return the address of a member."""
    return next(member.email for member in CAST if member.role == role)


def arrivals(begin: date, end: date, last_charge: date) -> dict[date, list[Member]]:
    """Return who orders on which day of a story from ``begin`` to ``end``.

    In a story too short for somebody's months they come on its second day.
    """
    found: dict[date, list[Member]] = {}
    for member in CAST:
        if member.months:
            day = catalogue.months_before(end, member.months) + timedelta(days=4)
            day = max(day, begin + timedelta(days=1))
        else:
            day = max(last_charge, end - timedelta(days=3))
        found.setdefault(day, []).append(member)
    return found


def day_of_present(present: Present, begin: date, end: date) -> date:
    """Return when a gift is ordered: after its giver came, whatever the story's length."""
    if not present.months:
        return end - timedelta(days=2)
    day = catalogue.months_before(end, present.months) + timedelta(days=5)
    return max(day, begin + timedelta(days=2))


def give_passwords(rt: Runtime) -> None:
    """Let the cast, and who claimed a gift, sign in with the demo's password, hashed once.

    Their e-mail counts as verified.
    """
    table = table_of(Customer)
    rt.session.execute(
        sa.update(table)
        .where(table.c.email.in_([one.email for one in (*CAST, *PRESENTS)]))
        .values(
            password_hash=rt.passwords.hash(catalogue.PASSWORD),
            email_verified_at=table.c.created_at,
        )
    )
    rt.session.commit()


def next_changeable(rt: Runtime) -> str:
    """Return the public id of the first cycle whose boxes may still be changed today."""
    table = table_of(BoxCycle)
    found: str = rt.session.execute(
        sa.select(table.c.public_id)
        .where(table.c.cutoff_on >= rt.today())
        .order_by(table.c.ship_from)
        .limit(1)
    ).scalar_one()
    rt.session.rollback()
    return found
