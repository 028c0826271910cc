"""The Flask extensions, made once and bound to each application by ``create_app``."""

from __future__ import annotations

from flask_babel import Babel
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from storefront.migrate import migrations_folder
from storefront.models import Base

#: Mapped classes derive from ``Base`` itself; the extension brings engine and session.
db = SQLAlchemy(model_class=Base, disable_autonaming=True)
#: Only for writing new revisions (``flask db migrate``); ``migrate.py`` runs them.
migrate = Migrate(directory=str(migrations_folder()))
login_manager = LoginManager()
babel = Babel()
csrf = CSRFProtect()
