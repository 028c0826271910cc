"""What people declare about contracts without signing in, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

LITE = (
    'CREATE TRIGGER tr_declaration_no_update BEFORE UPDATE ON declaration FOR EACH ROW WHEN NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL) OR OLD."id" IS NOT NEW."id" OR OLD."public_id" IS NOT NEW."public_id" OR OLD."once" IS NOT NEW."once" OR OLD."kind" IS NOT NEW."kind" OR OLD."is_for_cause" IS NOT NEW."is_for_cause" OR OLD."wished_on" IS NOT NEW."wished_on" OR OLD."locale" IS NOT NEW."locale" OR OLD."received_at" IS NOT NEW."received_at" OR OLD."customer_id" IS NOT NEW."customer_id" OR OLD."subscription_id" IS NOT NEW."subscription_id" OR OLD."is_sure" IS NOT NEW."is_sure" OR OLD."has_stopped" IS NOT NEW."has_stopped" BEGIN SELECT RAISE(ABORT, \'declaration is append-only\'); END',
    "CREATE TRIGGER tr_declaration_no_delete BEFORE DELETE ON declaration FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'declaration is append-only'); END",
    "CREATE TRIGGER tr_declaration_outcome_no_update BEFORE UPDATE ON declaration_outcome FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'declaration_outcome is append-only'); END",
    "CREATE TRIGGER tr_declaration_outcome_no_delete BEFORE DELETE ON declaration_outcome FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'declaration_outcome is append-only'); END",
)
POST = (
    'CREATE OR REPLACE FUNCTION tr_declaration_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT (OLD.blanked_at IS NULL AND NEW.blanked_at IS NOT NULL) OR OLD."id" IS DISTINCT FROM NEW."id" OR OLD."public_id" IS DISTINCT FROM NEW."public_id" OR OLD."once" IS DISTINCT FROM NEW."once" OR OLD."kind" IS DISTINCT FROM NEW."kind" OR OLD."is_for_cause" IS DISTINCT FROM NEW."is_for_cause" OR OLD."wished_on" IS DISTINCT FROM NEW."wished_on" OR OLD."locale" IS DISTINCT FROM NEW."locale" OR OLD."received_at" IS DISTINCT FROM NEW."received_at" OR OLD."customer_id" IS DISTINCT FROM NEW."customer_id" OR OLD."subscription_id" IS DISTINCT FROM NEW."subscription_id" OR OLD."is_sure" IS DISTINCT FROM NEW."is_sure" OR OLD."has_stopped" IS DISTINCT FROM NEW."has_stopped" THEN RAISE EXCEPTION \'declaration is append-only\'; END IF; RETURN NEW; END $$',
    "CREATE TRIGGER tr_declaration_no_update BEFORE UPDATE ON declaration FOR EACH ROW EXECUTE FUNCTION tr_declaration_no_update()",
    "CREATE OR REPLACE FUNCTION tr_declaration_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'declaration is append-only'; RETURN OLD; END $$",
    "CREATE TRIGGER tr_declaration_no_delete BEFORE DELETE ON declaration FOR EACH ROW EXECUTE FUNCTION tr_declaration_no_delete()",
    "CREATE OR REPLACE FUNCTION tr_declaration_outcome_no_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'declaration_outcome is append-only'; RETURN NEW; END $$",
    "CREATE TRIGGER tr_declaration_outcome_no_update BEFORE UPDATE ON declaration_outcome FOR EACH ROW EXECUTE FUNCTION tr_declaration_outcome_no_update()",
    "CREATE OR REPLACE FUNCTION tr_declaration_outcome_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'declaration_outcome is append-only'; RETURN OLD; END $$",
    "CREATE TRIGGER tr_declaration_outcome_no_delete BEFORE DELETE ON declaration_outcome FOR EACH ROW EXECUTE FUNCTION tr_declaration_outcome_no_delete()",
)


def upgrade() -> None:
    op.create_table(
        "declaration",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("once", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("is_for_cause", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("contract", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("wished_on", sa.Date(), nullable=True),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", INTEGER, nullable=True),
        sa.Column("subscription_id", INTEGER, nullable=True),
        sa.Column("is_sure", sa.Boolean(), nullable=False),
        sa.Column("has_stopped", sa.Boolean(), nullable=False),
        sa.Column("blanked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('end','withdraw')", name=op.f("ck_declaration_kind")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_declaration_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_declaration_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_declaration")),
        sa.UniqueConstraint("public_id", name=op.f("uq_declaration_public_id")),
        sa.UniqueConstraint("once", name=op.f("uq_declaration_once")),
    )
    for column in ("email", "customer_id", "subscription_id"):
        op.create_index(op.f(f"ix_declaration_{column}"), "declaration", [column], unique=False)
    op.create_table(
        "declaration_outcome",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("declaration_id", INTEGER, nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("by_ref", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('ended','settled')", name=op.f("ck_declaration_outcome_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["declaration_id"],
            ["declaration.id"],
            name=op.f("fk_declaration_outcome_declaration_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_declaration_outcome")),
        sa.UniqueConstraint("declaration_id", name=op.f("uq_declaration_outcome_declaration_id")),
    )
    for statement in POST if op.get_bind().dialect.name == "postgresql" else LITE:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
