"""How often somebody may try to get in, so that guessing is slow and nobody is locked out.

Tries are counted per account *and* address, so a stranger who types a victim's e-mail uses up
the stranger's tries; the count per account alone is generous, and a mailed link always works.
"""

from __future__ import annotations

from datetime import datetime

from flask import request

from storefront.runtime import Runtime
from storefront.security import forget_tries, throttle

_MINUTES = 60


def may_ask_for_mail(rt: Runtime, email: str) -> datetime | None:
    """Count one mail to ``email``; None to go on, else when to try again."""
    return _first_of(
        throttle(rt, "sign_in_ip", _ip(), 30, 10 * _MINUTES),
        throttle(rt, "sign_in_pair", f"{email} {_ip()}", 4, 10 * _MINUTES),
        throttle(rt, "sign_in_mail", email, 12, 60 * _MINUTES),
    )


def may_try_code(rt: Runtime, email: str) -> datetime | None:
    """Count one code; None to go on, else when to try again."""
    return _first_of(
        throttle(rt, "code_ip", _ip(), 40, 10 * _MINUTES),
        throttle(rt, "code_pair", f"{email} {_ip()}", 10, 10 * _MINUTES),
    )


def may_try_link(rt: Runtime) -> datetime | None:
    """Count one link; its secret cannot be guessed, this keeps the noise down."""
    return throttle(rt, "link_ip", _ip(), 60, 10 * _MINUTES)


def may_try_password(rt: Runtime, email: str, who: str = "customer") -> datetime | None:
    """Count one password; None to go on, else when to try again."""
    return _first_of(
        throttle(rt, f"{who}_pw_ip", _ip(), 30, 10 * _MINUTES),
        throttle(rt, f"{who}_pw_pair", f"{email} {_ip()}", 8, 10 * _MINUTES),
        throttle(rt, f"{who}_pw_account", email, 60, 60 * _MINUTES),
    )


def may_try_second_step(rt: Runtime, kind: str, person_id: int) -> datetime | None:
    """Count one code of the second step; None to go on, else when to try again.

    Whoever tries has the password or the mailbox already, so the count per account is small.
    """
    who = f"{kind} {person_id}"
    return _first_of(
        throttle(rt, "second_ip", _ip(), 30, 10 * _MINUTES),
        throttle(rt, "second_pair", f"{who} {_ip()}", 6, 10 * _MINUTES),
        throttle(rt, "second_account", who, 20, 60 * _MINUTES),
    )


def second_step_was_right(rt: Runtime, kind: str, person_id: int) -> None:
    """Start counting anew for this account at this address."""
    forget_tries(rt, "second_pair", f"{kind} {person_id} {_ip()}")


def password_was_right(rt: Runtime, email: str, who: str = "customer") -> None:
    """Start counting anew for this account at this address."""
    forget_tries(rt, f"{who}_pw_pair", f"{email} {_ip()}")


def _ip() -> str:
    return request.remote_addr or ""


def _first_of(*waits: datetime | None) -> datetime | None:
    return max((wait for wait in waits if wait), default=None)
