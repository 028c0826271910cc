"""The storefront in this shop. These lines, and ``templates/boxes_shell.html``, are all of it."""

from __future__ import annotations

from flask import Flask, render_template
from flask_login import current_user

from storefront.hooks import Identity, Layout, RequestInfo, hookimpl
from storefront.mount import Storefront
from storefront.settings import Settings


class Bridge:
    @hookimpl
    def identify_customer(self, info: RequestInfo) -> Identity | None:
        with info.in_host():
            if current_user.is_anonymous:
                return None
            me = current_user
            return Identity(str(me.id), me.email, me.email_verified, me.name)

    @hookimpl
    def layout(self, info: RequestInfo) -> Layout:
        with info.in_host():
            return Layout(render_template("boxes_shell.html"))


def add_boxes(shop: Flask, settings: Settings) -> None:
    Storefront(settings, plugins=[Bridge()]).init_app(shop, url_prefix="/boxes")
    shop.config["MENU"].append(("Tea boxes", "/boxes/"))
