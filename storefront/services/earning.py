"""Turn days that passed into revenue, for periods that ship nothing."""

from __future__ import annotations

from storefront.adapters.failpoints import failpoint
from storefront.database import retrying
from storefront.operations.earning import earn_days
from storefront.runtime import Runtime

#: Periods per transaction.
SLICE = 500


def earn_due_days(rt: Runtime) -> dict[str, int]:
    """Book every month and period that is over; running it again books nothing more."""
    steps = 0
    while done := retrying(rt.session, lambda: _slice(rt)):
        steps += done
    return {"periods": steps}


def _slice(rt: Runtime) -> int:
    done = earn_days(rt.session, rt.moment(), SLICE)
    failpoint("earning.before_commit")
    rt.session.commit()
    return done
