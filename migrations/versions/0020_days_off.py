"""Days on which nothing leaves: a list of holidays, and weekdays."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    for name, default in (("holidays", "[]"), ("closed_weekdays", "[7]")):
        column = sa.Column(name, sa.JSON(), server_default=default, nullable=False)
        op.add_column("shop_settings", column)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
