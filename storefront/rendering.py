"""What the templates are rendered with: Jinja's own classes, asked for less on the way.

A page of the account calls some four hundred macros and functions. Most of what Jinja does for
each of them is to find out that there is nothing to find out; those are answered first here, and
everything else goes to Jinja. Likewise the texts of a reader are looked for once for a page.
Source: docs/decisions/0262-templates-rendered-with-less.md.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

from babel import Locale
from babel.support import NullTranslations
from flask import Flask, g
from flask_babel import get_locale, get_translations
from jinja2 import Template, pass_eval_context
from jinja2.environment import TemplateModule
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Macro
from markupsafe import Markup

#: Under this name of ``g`` stand the reader's locale and the texts in it.
_KEPT = "storefront_texts"
_PLAIN = frozenset({FunctionType, MethodType})
#: What a template hands to each call for functions that ask for their context.
_FOR_CONTEXT = ("_loop_vars", "_block_vars")


def init_app(app: Flask) -> None:
    """Have the templates of ``app`` rendered this way."""
    environment = app.jinja_env
    environment.context_class = QuickContext
    environment.template_class = QuickTemplate
    environment.globals.update(_=gettext, gettext=gettext, ngettext=ngettext)


class QuickContext(Context):
    """A context that calls macros and plain functions without looking at them twice."""

    def call(self, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls; functions that ask for their context are Jinja's matter."""
        kind = type(called)
        if kind is Macro:
            for name in _FOR_CONTEXT:
                kwargs.pop(name, None)
            return called(self.eval_ctx, *args, **kwargs)
        if kind in _PLAIN:
            wants = getattr(called, "jinja_pass_arg", None)
            if wants is None or wants is _OURS:
                for name in _FOR_CONTEXT:
                    kwargs.pop(name, None)
                return called(self.eval_ctx, *args, **kwargs) if wants else called(*args, **kwargs)
        return super().call(called, *args, **kwargs)


class QuickTemplate(Template):
    """A template whose macros are imported without comparing everything it knows.

    Jinja renders an imported template anew where the importing one was loaded with names of its
    own; ours all have the environment's.
    """

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        if self._module is None:
            self._module = self.make_module()
        return self._module


def reader_locale() -> Locale | None:
    """Return the locale of who reads; None where nobody does."""
    try:
        # Where Flask-Babel keeps it: asking for it goes six times through a proxy.
        kept = g._get_current_object().__dict__["_flask_babel"].babel_locale
    except (RuntimeError, KeyError, AttributeError):
        return get_locale()
    return kept if kept is not None else get_locale()


def texts() -> NullTranslations:
    """Return the texts in the reader's language."""
    locale = reader_locale()
    if locale is None:
        return get_translations()
    kept = g.get(_KEPT)
    if kept is None or kept[0] is not locale:
        kept = (locale, get_translations())
        setattr(g, _KEPT, kept)
    return kept[1]


@pass_eval_context
def gettext(context: EvalContext, text: str, /, **values: Any) -> str:
    """Return ``text`` in the reader's language with ``values`` filled in, escaped in a page."""
    return _filled(context, texts().ugettext(text), values)


@pass_eval_context
def ngettext(context: EvalContext, one: str, many: str, number: int, /, **values: Any) -> str:
    """Return the text for so many in the reader's language; ``num`` is how many."""
    values.setdefault("num", number)
    return _filled(context, texts().ungettext(one, many, number), values)


#: What Jinja notes at a function that wants to know whether it writes for a page.
_OURS = gettext.jinja_pass_arg  # type: ignore[attr-defined]


def _filled(context: EvalContext, text: str, values: dict[str, Any]) -> str:
    written = Markup(text) if context.autoescape else text  # noqa: S704 - our own texts
    # A text without values may still say "100%%".
    return written % values if values or "%" in text else written
