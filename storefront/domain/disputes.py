"""Where disputed money is, and how it moves when the bank or the gateway changes its mind.

Source: docs/decisions/0125-disputes.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from storefront.domain.errors import DomainError
from storefront.domain.gateways import DisputeState
from storefront.domain.ledger import (
    BAD_DEBT,
    DISPUTE_SUSPENSE,
    GATEWAY_FEES,
    JournalKind,
    clearing,
)

#: Why periods are left out that fell due while a dispute held the subscription.
MISSED = "dispute"

KINDS = {
    DisputeState.OPEN: JournalKind.DISPUTE_OPENED,
    DisputeState.WON: JournalKind.DISPUTE_WON,
    DisputeState.LOST: JournalKind.DISPUTE_LOST,
}


class NothingToResume(DomainError):
    """The dispute holds nothing any more, or is not one that its customer may resume."""

    code = "nothing_to_resume"


class NothingToEnd(DomainError):
    """No subscription on the disputed invoice runs any more."""

    code = "nothing_to_end"


@dataclass(frozen=True, slots=True)
class Standing:
    """A dispute at one moment; minor units."""

    state: DisputeState
    amount_minor: int
    fee_minor: int = 0


#: Before it was opened: the money is where the payment brought it.
NOTHING = Standing(DisputeState.WON, 0)


def moves(before: Standing, after: Standing, gateway: str) -> list[tuple[str, str, int]]:
    """Return (debit, credit, minor units) that lead from ``before`` to ``after``.

    Disputed money lies in suspense while the bank decides, is back in clearing when it was won,
    and a bad debt when it was lost. The fee is gone whoever wins, unless it is given back.

    >>> opened = Standing(DisputeState.OPEN, 2600, 1500)
    >>> moves(NOTHING, opened, "demo")
    [('dispute_suspense', 'clearing:demo', 2600), ('gateway_fees', 'clearing:demo', 1500)]
    >>> moves(opened, Standing(DisputeState.LOST, 2600, 1500), "demo")
    [('bad_debt', 'dispute_suspense', 2600)]
    >>> moves(opened, Standing(DisputeState.OPEN, 2000, 1500), "demo")
    [('clearing:demo', 'dispute_suspense', 600)]
    """
    home = clearing(gateway)
    places = {
        DisputeState.OPEN: DISPUTE_SUSPENSE,
        DisputeState.WON: home,
        DisputeState.LOST: BAD_DEBT,
    }
    old, new = places[before.state], places[after.state]
    if old == new:
        steps = [(new, home, after.amount_minor - before.amount_minor)]
    elif old == home:
        steps = [(new, home, after.amount_minor)]
    elif new == home:
        steps = [(home, old, before.amount_minor)]
    else:
        rest = after.amount_minor - before.amount_minor
        steps = [(new, old, before.amount_minor), (new, home, rest)]
    steps.append((GATEWAY_FEES, home, after.fee_minor - before.fee_minor))
    forward = [step if step[2] > 0 else (step[1], step[0], -step[2]) for step in steps]
    return [step for step in forward if step[2] and step[0] != step[1]]
