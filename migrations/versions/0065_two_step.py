"""The second step of a sign-in."""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "two_step",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("customer_id", INTEGER, nullable=True),
        sa.Column("staff_id", INTEGER, nullable=True),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(customer_id IS NULL) <> (staff_id IS NULL)", name=op.f("ck_two_step_of_one")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_two_step_customer_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_two_step_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_two_step")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_two_step_customer_id")),
        sa.UniqueConstraint("staff_id", name=op.f("uq_two_step_staff_id")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("two_step_id", INTEGER, nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["two_step_id"], ["two_step.id"], name=op.f("fk_recovery_code_two_step_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_code_code_hash")),
    )
    op.create_index(
        op.f("ix_recovery_code_two_step_id"), "recovery_code", ["two_step_id"], unique=False
    )
    no = "false" if op.get_bind().dialect.name == "postgresql" else "0"
    op.execute(f"ALTER TABLE shop_settings ADD COLUMN staff_two_step BOOLEAN DEFAULT {no} NOT NULL")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
