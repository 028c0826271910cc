"""How many boxes a cycle can make: of a group by default, and of one cycle."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    integer = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # Plain columns: on SQLite no table is rebuilt, so triggers and partial indexes stay.
    op.execute(
        f"ALTER TABLE cycle_group ADD COLUMN capacity {integer} "
        "CONSTRAINT ck_cycle_group_capacity CHECK (capacity > 0)"
    )
    op.execute(
        f"ALTER TABLE box_cycle ADD COLUMN capacity {integer} "
        "CONSTRAINT ck_box_cycle_capacity CHECK (capacity >= 0)"
    )


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
