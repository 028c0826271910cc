"""Charges that surely never happened: planned again, or given up where the customer was waiting.

Source: docs/decisions/0126-when-sending-stops-and-waits.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import NOT_DONE, ChargeAnswer
from storefront.models import ChargeAttempt
from storefront.operations.bulk import update_many
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment


def is_undone(row: AnyRow, answers: Mapping[str, ChargeAnswer]) -> bool:
    """True if the answer to the first question of attempt ``row`` says that nothing was done.

    Not once it was looked up: a look may have repeated the question.
    """
    answer = answers[row.public_id]
    return (
        answer.status is AnswerStatus.UNKNOWN
        and answer.reason in NOT_DONE
        and row.state == AttemptState.SENT
        and not row.checks
    )


def take_back(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: Mapping[str, ChargeAnswer],
    moment: Moment,
) -> None:
    """Let attempts be as if they had never been sent; none counts as a try of its card.

    One by the clock keeps its place and its key and is sent when its gateway takes charges
    again. Of one whose customer was there, only they know whether they still want it.
    """
    again = [row for row in rows if not row.on_session]
    given_up = [row for row in rows if row.on_session]
    both = (again, AttemptState.PLANNED, None), (given_up, AttemptState.ABANDONED, moment.now)
    for some, state, answered_at in both:
        values = [
            {
                "id": row.id,
                "state": state,
                "reason": answers[row.public_id].reason[:80],
                "sent_at": None,
                "check_at": None,
                "answered_at": answered_at,
            }
            for row in some
        ]
        # The rows were read as sent, under the lock of this transaction.
        if update_many(session, ChargeAttempt, values, where=("id",)) != len(values):
            raise RuntimeError("an attempt changed while it was taken back")
