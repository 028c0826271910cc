"""Which other sites may show the plans."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import TextAreaField, ValidationError

from storefront.blueprints.forms import Form
from storefront.blueprints.typed import several_lines
from storefront.domain.embedding import MOST_SITES, NotASite, TooManySites, sites_of


class SitesField(TextAreaField):
    """Addresses of sites, one a line."""

    def process_data(self, value: Any) -> None:
        self.data = "\n".join(value or ())

    @property
    def sites(self) -> tuple[str, ...]:
        return sites_of(several_lines(self.data))


class EmbedForm(Form):
    """Sites that may frame the plans, and nothing else of the shop."""

    embed_origins = SitesField(lazy_gettext("Sites that may show your plans"))

    def validate_embed_origins(self, field: SitesField) -> None:
        try:
            field.sites  # noqa: B018
        except NotASite as error:
            raise ValidationError(
                _(
                    "“%(line)s” is no site. Enter an address like https://www.example.com",
                    line=error.line[:80],
                )
            ) from None
        except TooManySites:
            raise ValidationError(_("Enter %(count)s sites at most", count=MOST_SITES)) from None

    def values(self) -> dict[str, Any]:
        return {"embed_origins": list(self.embed_origins.sites)}
