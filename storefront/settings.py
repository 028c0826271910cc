"""The settings of the process: where it runs, what it reaches, what it must keep secret.

One frozen object, read once from ``STOREFRONT_*`` variables over an optional TOML file. What a
merchant edits (names, zone, policies, texts) lives in the shop settings table instead; no value
lives in both. Every secret may also come from a file named by ``<VARIABLE>_FILE``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

Environment = Literal["demo", "development", "test", "production"]

PREFIX = "STOREFRONT_"
#: Good enough to start a demo with; production refuses it.
DEFAULT_SECRET = "not-a-secret-change-me"  # noqa: S105
_SECRET_LENGTH = 32
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_MAIL_SCHEMES = {"file", "null", "smtp", "smtps"}
_DATABASE_SCHEMES = ("sqlite", "postgresql")
#: Variables of ours that are not fields: read elsewhere, or they name where settings come from.
_OTHER_NAMES = {"STOREFRONT_CONFIG", "STOREFRONT_FAILPOINTS"}
#: File systems on which SQLite's locks are not to be trusted.
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs"}


class SettingsError(ValueError):
    """Settings that cannot be used; ``problems`` names every one of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _bundled_plugins() -> tuple[Path, ...]:
    """In a checkout the bundled plugins lie beside the package; a wheel has them installed."""
    root = Path(__file__).resolve().parent.parent
    return (root / "plugins",) if (root / "wsgi.py").exists() else ()


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs. Build it with :func:`load_settings`, or directly in a test."""

    environment: Environment = "development"
    #: Signs cookies and links. At least 32 characters in production.
    secret_key: str = field(default=DEFAULT_SECRET, repr=False)
    #: Keys that came before it: links they signed go on working until they end, cookies too.
    old_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    #: Everything the process writes: database, mailbox of the demo, exports, clock of the demo.
    data_dir: Path = Path("instance")
    #: Files that others pick up: exports of boxes, papers, books; empty means ``files`` in
    #: ``data_dir``. Every process of the shop has the same one.
    files_dir: str = ""
    #: Folder of templates that stand before ours (docs/theming.md); empty: none.
    templates_dir: str = ""
    #: ``sqlite:///…`` or ``postgresql://…``; empty means ``storefront.db`` in ``data_dir``.
    database_url: str = ""
    #: Scheme and host where shoppers reach us, without a path (that is ``url_prefix``); links in
    #: mails are built from both, never from a Host header.
    base_url: str = "http://127.0.0.1:5000"
    #: Host names that are answered; empty answers every host (refused in production).
    trusted_hosts: tuple[str, ...] = ()
    #: Reverse proxies in front of us whose ``X-Forwarded-*`` headers are believed.
    proxy_hops: int = 0
    #: Path we are mounted under, such as ``/boxes``; empty when we are the whole site.
    url_prefix: str = ""
    #: Name of our session cookie; a host shop on the same domain must have another.
    cookie_name: str = "storefront_session"
    #: ``file`` (a mailbox folder in ``data_dir``), ``null``, or ``smtp://user:password@host:587``
    #: (STARTTLS) or ``smtps://…:465``.
    mail_url: str = "file:"
    #: Folders searched for plugins, beside those installed as packages.
    plugin_dirs: tuple[Path, ...] = field(default_factory=_bundled_plugins)
    #: Names of plugins that are not loaded.
    plugins_off: tuple[str, ...] = ()
    #: Plugin name -> its settings, from the tables ``[plugins.<name>]`` of the file; a plugin's
    #: variables ``STOREFRONT_<NAME>_<FIELD>`` go before them.
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    #: Show errors with their source in the browser; development only.
    debug: bool = False
    #: Seconds a worker holds a claimed subscription before another may take it over.
    lease_seconds: int = 300
    #: Rows written by one transaction of a renewal run.
    batch_size: int = 100
    #: Charges that are asked at a gateway at the same time.
    in_flight: int = 50
    #: Most charges asked per second of one gateway account; 0: the gateway's own limit only.
    charges_per_second: int = 0

    @property
    def is_demo(self) -> bool:
        """True for the demo shop: movable clock, demo logins, file mailbox page."""
        return self.environment == "demo"

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The key that signs, then those that signed before it."""
        return self.secret_key, *self.old_secret_keys

    @property
    def database_address(self) -> str:
        """The database URL, with the default filled in as an absolute path."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'storefront.db'}"

    @property
    def files_folder(self) -> Path:
        """Where files for others lie, with the default filled in."""
        return Path(self.files_dir) if self.files_dir else self.data_dir / "files"

    @property
    def cookie_path(self) -> str:
        """Our cookies are sent below our own path only."""
        return f"{self.url_prefix}/" if self.url_prefix else "/"

    @property
    def is_https(self) -> bool:
        return urlsplit(self.base_url).scheme == "https"


#: What has a variable of its own.
_FIELDS = {setting.name for setting in fields(Settings)} - {"plugins"}


def load_settings(environ: Mapping[str, str], toml_path: Path | None = None) -> Settings:
    """Read settings from ``environ``, over the TOML file at ``toml_path``, over the defaults.

    Without ``toml_path`` the file named by ``STOREFRONT_CONFIG`` is read, if any. Raises
    :class:`SettingsError` naming every value that cannot be read, at once.
    """
    settings, errors = read_settings(environ, toml_path)
    if errors:
        raise SettingsError(errors)
    return settings


def read_settings(
    environ: Mapping[str, str], toml_path: Path | None = None
) -> tuple[Settings, list[str]]:
    """Return what can be read, with the default for the rest, and what cannot be."""
    errors: list[str] = []
    named = environ.get("STOREFRONT_CONFIG")
    path = toml_path or (Path(named) if named else None)
    values = _from_toml(path, errors) if path else {}
    plugins = _plugin_tables(values.pop("plugins", {}), errors)
    for name in _FIELDS:
        raw = _from_environment(environ, PREFIX + name.upper(), errors)
        if raw is not None:
            values[name] = raw
    known = {name: _convert(name, raw, errors) for name, raw in values.items()}
    return replace(Settings(), **known, plugins=plugins), errors


def all_problems(environ: Mapping[str, str], toml_path: Path | None = None) -> list[str]:
    """Return what cannot be read together with everything wrong in what can, each once."""
    settings, errors = read_settings(environ, toml_path)
    named = {error.partition(":")[0].removeprefix(PREFIX).lower() for error in errors}
    named |= {name.removesuffix("_file") for name in named}
    rest = [line for line in problems(settings) if line.partition(":")[0] not in named]
    return errors + rest


def problems(settings: Settings) -> list[str]:
    """Return everything that must be mended before the process may start, in plain words."""
    found = _shape_problems(settings) + _number_problems(settings) + _disk_problems(settings)
    if settings.is_production:
        found += _production_problems(settings) + _old_key_problems(settings)
    elif settings.debug and settings.environment != "development":
        found.append("debug: only for the development environment")
    return found


def unknown_names(environ: Mapping[str, str], plugins: Iterable[str]) -> list[str]:
    """Return ``STOREFRONT_*`` variables that nothing reads: usually a slip of the pen.

    ``plugins`` are the names of all plugins found; their variables begin with their name.
    """
    known = {PREFIX + name.upper() for name in _FIELDS}
    known |= {f"{name}_FILE" for name in known} | _OTHER_NAMES
    theirs = tuple(f"{PREFIX}{plugin.replace('-', '_').upper()}_" for plugin in plugins)
    ours = sorted(name for name in environ if name.startswith(PREFIX))
    return [name for name in ours if name not in known and not name.startswith(theirs)]


def _plugin_tables(raw: Any, errors: list[str]) -> dict[str, dict[str, str]]:
    tables = raw if isinstance(raw, dict) else {"": raw}
    if not all(isinstance(table, dict) for table in tables.values()):
        errors.append("plugins: write one table per plugin, such as [plugins.gift-note]")
        return {}
    return {
        name: {key: str(value) for key, value in table.items()} for name, table in tables.items()
    }


def _from_toml(path: Path, errors: list[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        errors.append(f"{path}: {error}")
        return {}
    known = _FIELDS | {"plugins"}
    errors.extend(f"{path}: unknown setting {name!r}" for name in sorted(set(values) - known))
    return {name: value for name, value in values.items() if name in known}


def _from_environment(environ: Mapping[str, str], name: str, errors: list[str]) -> str | None:
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        errors.append(f"{name}_FILE: {error}")
        return None


def _convert(name: str, raw: Any, errors: list[str]) -> Any:
    """Return ``raw`` (text, or a TOML value) as the type of the field ``name``."""
    default = getattr(Settings(), name)
    try:
        if isinstance(default, bool):
            return _boolean(raw)
        if isinstance(default, int):
            return int(raw)
        if isinstance(default, Path):
            return Path(raw)
        if isinstance(default, tuple):
            return _several(name, raw)
    except (TypeError, ValueError):
        errors.append(f"{name}: cannot read {raw!r} as {type(default).__name__}")
        return default
    if name == "environment" and raw not in get_args(Environment):
        errors.append(f"environment: {raw!r} is none of {', '.join(get_args(Environment))}")
    return str(raw).rstrip("/") if name in {"base_url", "url_prefix"} else str(raw)


def _boolean(raw: Any) -> bool:
    text = str(raw).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(raw)
    return text in _TRUE


def _several(name: str, raw: Any) -> tuple[Any, ...]:
    separator = os.pathsep if name == "plugin_dirs" else ","
    parts = raw.split(separator) if isinstance(raw, str) else list(raw)
    kept = [str(part).strip() for part in parts if str(part).strip()]
    return tuple(Path(part) for part in kept) if name == "plugin_dirs" else tuple(kept)


def _shape_problems(settings: Settings) -> list[str]:
    found = []
    base = urlsplit(settings.base_url)
    if base.scheme not in {"http", "https"} or not base.netloc:
        found.append("base_url: must be an http or https address such as https://shop.example")
    elif base.path or base.query:
        found.append("base_url: must end with the host; a path belongs into url_prefix")
    if settings.url_prefix and not settings.url_prefix.startswith("/"):
        found.append("url_prefix: must start with a slash, such as /boxes")
    if not settings.database_address.startswith(_DATABASE_SCHEMES):
        found.append("database_url: must start with sqlite or postgresql")
    if urlsplit(settings.mail_url).scheme not in _MAIL_SCHEMES:
        found.append("mail_url: must start with file:, null:, smtp:// or smtps://")
    if settings.templates_dir and not Path(settings.templates_dir).is_dir():
        found.append("templates_dir: there is no such folder")
    if not settings.secret_key:
        found.append("secret_key: must not be empty")
    return found


def _number_problems(settings: Settings) -> list[str]:
    lowest = dict.fromkeys(("lease_seconds", "batch_size", "in_flight"), 1)
    lowest |= {"charges_per_second": 0, "proxy_hops": 0}
    return [
        f"{name}: must be at least {least}"
        for name, least in lowest.items()
        if getattr(settings, name) < least
    ]


def _disk_problems(settings: Settings) -> list[str]:
    wanted = {"data_dir": settings.data_dir}
    if settings.files_dir:
        wanted["files_dir"] = settings.files_folder
    return [
        f"{name}: {folder} cannot be written"
        for name, folder in wanted.items()
        if not os.access(_nearest_existing(folder.resolve()), os.W_OK | os.X_OK)
    ]


def _old_key_problems(settings: Settings) -> list[str]:
    if all(len(key) >= _SECRET_LENGTH for key in settings.old_secret_keys):
        return []
    return [f"old_secret_keys: each must have at least {_SECRET_LENGTH} characters"]


def _production_problems(settings: Settings) -> list[str]:
    found = []
    if settings.secret_key == DEFAULT_SECRET:
        found.append("secret_key: the default is public; set STOREFRONT_SECRET_KEY")
    elif len(settings.secret_key) < _SECRET_LENGTH:
        found.append(f"secret_key: must have at least {_SECRET_LENGTH} characters")
    if settings.debug:
        found.append("debug: must be off in production")
    if not settings.is_https:
        found.append("base_url: must be https in production")
    if not settings.trusted_hosts:
        found.append("trusted_hosts: name the hosts that are answered")
    elif any("*" in host or not host.strip(".") for host in settings.trusted_hosts):
        found.append("trusted_hosts: name each host; a star would answer every one")
    if urlsplit(settings.mail_url).scheme in {"file", "null"}:
        found.append("mail_url: production needs a mail server, smtp:// or smtps://")
    return found + _sqlite_problems(settings)


def _sqlite_problems(settings: Settings) -> list[str]:
    address = settings.database_address
    if not address.startswith("sqlite"):
        return []
    path = address.partition("///")[2].partition("?")[0]
    if path in {"", ":memory:"}:
        return ["database_url: a database in memory forgets everything; name a file"]
    kind = _file_system(Path(path).resolve())
    if kind in _NETWORK_FILE_SYSTEMS:
        return [f"database_url: SQLite is not safe on a network share ({kind}); use PostgreSQL"]
    return []


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _file_system(path: Path) -> str:
    """Return the type of the file system that holds ``path``; empty where nobody can tell."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    entries = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    holding = [(len(point), kind) for point, kind in entries if path.is_relative_to(point)]
    return max(holding, default=(0, ""))[1]
