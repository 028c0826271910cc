"""What waits in the outbox is handed over once, and what has nothing to say costs little."""

import sqlalchemy as sa

from storefront.adapters.mail import Mail
from storefront.models import OutboxMessage
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery, deliver_due
from tests.support.statements import counting


def test_messages_with_nothing_to_say_are_noted_together_and_never_asked_again(rt: Runtime) -> None:
    asked: list[str] = []

    def compose(delivery: Delivery) -> Mail | None:
        asked.append(delivery.key)
        if delivery.key != "mail:2":
            return None
        return Mail("2", "shop@example.org", "ada@example.org", "Hello", "Hello", rt.now())

    messages = [Message("mail", "sign_in", f"mail:{number}", {}) for number in range(5)]
    enqueue(rt.session, messages, rt.now())
    rt.session.commit()
    with counting() as run:
        first = deliver_due(rt, compose)
    again = deliver_due(rt, compose)

    assert (first.delivered, again.delivered) == (5, 0)
    assert asked == [message.key for message in messages]
    assert len(rt.mailer.read()) == 1
    # The claim, the mail that went out, and all others.
    assert len([text for text in run if text.startswith("UPDATE outbox_message")]) == 3
    table = OutboxMessage.__table__
    rows = rt.session.execute(sa.select(table.c.state, table.c.tries, table.c.delivered_at)).all()
    assert rows == [("delivered", 1, rt.now())] * 5
