"""The shop as it was: own database, own sign-in, own session, own basket."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, flash, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
csrf = CSRFProtect()


class User(UserMixin, Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    email_verified: Mapped[bool]


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    text: Mapped[str]
    cents: Mapped[int]


USERS = (
    ("ada@crockery.example", "Ada Brew", True),
    ("new@crockery.example", "Neo Newcomer", False),
)
PASSWORD = "teatime"
ITEMS = (
    ("Stoneware pot", "Holds three cups, pours without a drip.", 3900),
    ("Two tasting cups", "White inside, so that you see the colour.", 1800),
    ("Bamboo whisk", "For matcha; a hundred fine prongs.", 1450),
)


def create_shop(database_url: str, secret_key: str) -> Flask:
    """Return the shop; its tables and its few goods are made if they are missing."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secret_key,
        SQLALCHEMY_DATABASE_URI=database_url,
        SESSION_COOKIE_SAMESITE="Lax",
        MENU=[("Shop", "/"), ("Basket", "/basket")],
    )
    for extension in (db, login_manager, csrf):
        extension.init_app(app)
    app.add_url_rule("/", view_func=goods)
    app.add_url_rule("/basket", view_func=basket)
    app.add_url_rule("/basket", view_func=add_to_basket, methods=["POST"])
    app.add_url_rule("/sign-in", view_func=sign_in, methods=["GET", "POST"])
    app.add_url_rule("/sign-out", view_func=sign_out, methods=["POST"])
    app.template_filter("euro")(lambda cents: f"€{cents / 100:.2f}")
    with app.app_context():
        _stock_the_shelves()
    return app


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def goods() -> str:
    return render_template("goods.html", items=db.session.query(Item).all())


def basket() -> str:
    chosen = session.get("basket", {})
    items = [(item, chosen[str(item.id)]) for item in _items(chosen)]
    total = sum(item.cents * count for item, count in items)
    return render_template("basket.html", items=items, total=total)


def add_to_basket() -> Response:
    item = request.form.get("item", "")
    if not _items([item]):
        abort(404)
    chosen = dict(session.get("basket", {}))
    chosen[item] = chosen.get(item, 0) + 1
    session["basket"] = chosen
    return redirect(url_for("basket"), code=303)


def sign_in() -> str | Response | tuple[str, int]:
    if request.method == "GET":
        return render_template("sign_in.html", users=USERS, password=PASSWORD)
    user = db.session.query(User).filter_by(email=request.form.get("email", "")).one_or_none()
    if user is None or not check_password_hash(user.password_hash, request.form["password"]):
        flash("E-mail or password is wrong.")
        return render_template("sign_in.html", users=USERS, password=PASSWORD), 422
    login_user(user)
    return redirect(url_for("goods"), code=303)


def sign_out() -> Response:
    if current_user.is_authenticated:
        logout_user()
    return redirect(url_for("goods"), code=303)


def _items(ids: Any) -> list[Item]:
    wanted = [int(each) for each in ids if str(each).isdecimal()]
    return db.session.query(Item).filter(Item.id.in_(wanted)).all()


def _stock_the_shelves() -> None:
    db.create_all()
    if db.session.query(User).first() is None:
        secret = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000")
        db.session.add_all(
            User(email=email, name=name, password_hash=secret, email_verified=proven)
            for email, name, proven in USERS
        )
        db.session.add_all(Item(name=name, text=text, cents=cents) for name, text, cents in ITEMS)
        db.session.commit()
    db.session.remove()
