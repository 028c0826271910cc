"""Run the real migrations on a database."""

from storefront import database
from storefront import migrate as migrations


def migrate(url: str) -> None:
    """Bring the database at ``url`` to the newest schema, as ``storefront migrate`` does."""
    engine = database.create_engine(url)
    migrations.upgrade(engine)
    engine.dispose()
