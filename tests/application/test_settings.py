"""Settings from flags and from the environment."""

import pytest

from application.settings import PREFIX, Settings, parse


def test_the_defaults() -> None:
    settings = parse([])
    assert (str(settings.endpoint), settings.port) == ("http://127.0.0.1:8080/", 8000)
    assert (settings.front, settings.host) == ("rooms", "0.0.0.0")


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}PORT", "1")
    monkeypatch.setenv(f"{PREFIX}TIMEOUT_S", "2.5")
    assert (parse([]).port, parse([]).timeout_s) == (1, 2.5)
    assert parse(["--port", "2"]).port == 2


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_help_lists_every_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse(["--help"])
    assert f"--{name.replace('_', '-')}" in capsys.readouterr().out
    assert Settings.model_fields[name].description


def test_a_bad_setting_is_named_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}PORT", "many")
    with pytest.raises(SystemExit, match="2"):
        parse([])
    [line] = capsys.readouterr().err.splitlines()
    assert "--port or APPLICATION_PORT" in line
    assert "'many'" in line


@pytest.mark.parametrize("given", ["*", "ingress", "10.0.0.1/8", "10.0.0.0/8,::1/129"])
def test_proxies_are_addresses_or_networks(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--trusted-proxies", given])
    [line] = capsys.readouterr().err.splitlines()
    assert "--trusted-proxies or APPLICATION_TRUSTED_PROXIES" in line
    assert given.rsplit(",", maxsplit=1)[-1] in line
