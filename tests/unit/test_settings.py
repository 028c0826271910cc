"""Settings of the process: where they come from, and what is refused."""

from dataclasses import fields
from pathlib import Path

import pytest

from storefront.settings import Settings, SettingsError, load_settings, problems, unknown_names

SOUND = {
    "environment": "production",
    "secret_key": "k" * 40,
    "base_url": "https://shop.example",
    "trusted_hosts": ("shop.example",),
    "mail_url": "smtp://mail.example:587",
}


def production(tmp_path: Path, **changes: object) -> Settings:
    return Settings(**{**SOUND, "data_dir": tmp_path, **changes})


def test_the_environment_goes_before_the_file_and_the_file_before_the_defaults(tmp_path: Path):
    file = tmp_path / "storefront.toml"
    file.write_text('base_url = "https://file.example"\nlease_seconds = 60\n')
    settings = load_settings({"STOREFRONT_BASE_URL": "https://env.example/"}, file)
    assert settings.base_url == "https://env.example"
    assert settings.lease_seconds == 60
    assert settings.batch_size == 100


def test_a_secret_may_come_from_a_file(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    assert load_settings({"STOREFRONT_SECRET_KEY_FILE": str(secret)}).secret_key == "from a file"


def test_every_unreadable_value_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings(
            {
                "STOREFRONT_LEASE_SECONDS": "soon",
                "STOREFRONT_DEBUG": "perhaps",
                "STOREFRONT_ENVIRONMENT": "staging",
                "STOREFRONT_SECRET_KEY_FILE": "/does/not/exist",
            }
        )
    text = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert all(name in text for name in ("lease_seconds", "debug", "environment", "SECRET_KEY"))


def test_a_misspelt_name_in_the_file_is_an_error(tmp_path: Path):
    file = tmp_path / "storefront.toml"
    file.write_text('secret = "x"\n')
    with pytest.raises(SettingsError, match="unknown setting 'secret'"):
        load_settings({}, file)


def test_a_variable_that_nothing_reads_is_reported_and_a_plugins_own_is_not():
    environ = {
        "STOREFRONT_BASEURL": "",
        "STOREFRONT_BASE_URL": "",
        "STOREFRONT_GIFT_NOTE_PORT": "1",
        "STOREFRONT_SECRET_KEY_FILE": "",
        "HOME": "/",
    }
    assert unknown_names(environ, ["gift-note"]) == ["STOREFRONT_BASEURL"]


def test_plugin_tables_reach_their_plugin(tmp_path: Path):
    file = tmp_path / "storefront.toml"
    file.write_text("[plugins.gift-note]\nport = 8025\n")
    assert load_settings({}, file).plugins == {"gift-note": {"port": "8025"}}


def test_sound_production_settings_have_no_problem(tmp_path: Path):
    assert problems(production(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"secret_key": Settings().secret_key}, "secret_key"),
        ({"secret_key": "short"}, "secret_key"),
        ({"debug": True}, "debug"),
        ({"base_url": "http://shop.example"}, "base_url"),
        ({"trusted_hosts": ()}, "trusted_hosts"),
        ({"trusted_hosts": ("*",)}, "trusted_hosts"),
        ({"trusted_hosts": ("shop.example", "*.shop.example")}, "trusted_hosts"),
        ({"trusted_hosts": (".",)}, "trusted_hosts"),
        ({"mail_url": "file:"}, "mail_url"),
        ({"database_url": "sqlite://"}, "database_url"),
    ],
)
def test_production_refuses(tmp_path: Path, changes: dict[str, object], named: str):
    found = problems(production(tmp_path, **changes))
    assert [line.partition(":")[0] for line in found] == [named]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base_url": "shop.example"}, "base_url"),
        ({"base_url": "https://shop.example/boxes"}, "base_url"),
        ({"url_prefix": "boxes"}, "url_prefix"),
        ({"database_url": "mysql://x"}, "database_url"),
        ({"mail_url": "pigeon:"}, "mail_url"),
        ({"secret_key": ""}, "secret_key"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"proxy_hops": -1}, "proxy_hops"),
        ({"debug": True, "environment": "demo"}, "debug"),
    ],
)
def test_every_environment_refuses(tmp_path: Path, changes: dict[str, object], named: str):
    found = problems(Settings(**{"data_dir": tmp_path, **changes}))
    assert [line.partition(":")[0] for line in found] == [named]


def test_a_folder_that_cannot_be_made_is_refused():
    found = problems(Settings(data_dir=Path("/proc/1/nowhere")))
    assert any(line.startswith("data_dir") for line in found)


def test_secrets_do_not_show_in_a_printed_settings_object():
    settings = Settings(secret_key="canary-secret", plugins={"a": {"key": "canary-key"}})
    assert "canary" not in repr(settings)


def test_every_setting_is_read_somewhere():
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path("storefront").rglob("*.py")
        if path.name != "settings.py"
    )
    # These are read through a property of the settings object itself.
    through = {"environment", "database_url", "data_dir", "files_dir"}
    names = {setting.name for setting in fields(Settings)} - through
    assert sorted(name for name in names if f"settings.{name}" not in source) == []


def test_files_for_others_lie_in_the_folder_of_the_data_unless_one_is_named(tmp_path: Path):
    assert Settings(data_dir=tmp_path).files_folder == tmp_path / "files"
    named = load_settings({"STOREFRONT_FILES_DIR": str(tmp_path / "out")})
    assert named.files_folder == tmp_path / "out"
    assert problems(Settings(data_dir=tmp_path, files_dir=str(tmp_path / "out"))) == []


def test_a_folder_for_files_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shut = tmp_path / "shut"
    shut.mkdir()
    monkeypatch.setattr("storefront.settings.os.access", lambda folder, _mode: folder != shut)

    found = problems(Settings(data_dir=tmp_path, files_dir=str(shut / "below")))

    assert [line.partition(":")[0] for line in found] == ["files_dir"]
