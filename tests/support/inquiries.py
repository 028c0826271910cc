"""Conversations for tests."""

from storefront.domain.inquiries import Topic
from storefront.models import Customer
from storefront.runtime import Runtime
from storefront.services.inquiries import Question, ask


def make_inquiry(rt: Runtime, customer: Customer, once: str = "page-1", **values: str) -> str:
    """Let a customer ask something; returns the public id of the conversation."""
    text = values.pop("text", "Where is my box?")
    subject = values.pop("subject", "")
    topic = Topic(values.pop("topic", "box"))
    question = Question(topic, subject, text, once, **values)
    return ask(rt, customer.id, customer.public_id, question)
