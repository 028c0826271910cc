"""Where Alembic enters: for ``storefront migrate`` and for Flask-Migrate's ``flask db``."""

from alembic import context
from flask import current_app

from storefront.migrate import run

engine = context.config.attributes.get("engine")
run(context, engine if engine is not None else current_app.extensions["migrate"].db.engine)
