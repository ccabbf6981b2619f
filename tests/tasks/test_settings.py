import os

import pytest

from dfd_core.errors import ConfigError
from tasks.settings import EngineSettings, apply_defaults


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("DFD_ACTORS", "3")
    monkeypatch.setenv("DFD_GPUS_PER_ACTOR", "0.5")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    settings = EngineSettings.from_environment()
    assert settings.actors == 3
    assert settings.gpus_per_actor == 0.5
    assert settings.ray_address == "10.0.0.1:6379"


def test_nonsense_is_named(monkeypatch):
    monkeypatch.setenv("DFD_ACTORS", "many")
    with pytest.raises(ConfigError, match="DFD_ACTORS: Input should be a valid integer"):
        EngineSettings.from_environment()


def test_every_setting_is_in_the_table():
    import tasks.settings

    named = tasks.settings.__doc__
    for name in EngineSettings.model_fields:
        variable = "RAY_ADDRESS" if name == "ray_address" else f"DFD_{name.upper()}"
        assert f"`{variable}`" in named


def test_defaults_keep_ray_on_loopback_and_quiet_and_do_not_overrule(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    apply_defaults()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


def test_a_cluster_keeps_its_own_settings(monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    apply_defaults()
    assert "RAY_AUTH_MODE" not in os.environ
