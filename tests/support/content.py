"""Pages and questions of the merchant for tests."""

from storefront.runtime import Runtime
from storefront.services.content import PageDraft, QuestionDraft, save_page, save_question
from tests.support.notices import make_writer


def write_page(
    rt: Runtime,
    slug: str = "about-us",
    title: str = "About us",
    text: str = "We brew.",
    *,
    place: str = "footer",
    is_public: bool = True,
    **others: tuple[str, str],
) -> str:
    """Write a page in English and in ``others`` (language=(title, text)); returns its public id."""
    written = {"en": (title, text), **others}
    texts = {code: {"title": one[0], "text": one[1]} for code, one in written.items()}
    return save_page(rt, make_writer(rt), PageDraft(slug, texts, place, is_public))


def write_question(
    rt: Runtime,
    question: str = "How fresh is it?",
    answer: str = "Of this year.",
    *,
    plan: str = "",
    is_public: bool = True,
    **others: tuple[str, str],
) -> str:
    """Write a question in English and in ``others``; returns its public id."""
    written = {"en": (question, answer), **others}
    texts = {code: {"question": one[0], "answer": one[1]} for code, one in written.items()}
    return save_question(rt, make_writer(rt), QuestionDraft(texts, is_public, plan))
