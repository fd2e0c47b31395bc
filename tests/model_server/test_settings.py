from dataclasses import fields
from pathlib import Path

import pytest

from model_server import settings
from model_server.settings import Settings


def test_defaults() -> None:
    assert settings.parse([], {}) == Settings()
    assert Settings().body_limit_bytes == 6 * 1024**2


def test_a_flag_wins_over_its_variable() -> None:
    environment = {"MODEL_SERVER_HTTP_PORT": "9000", "MODEL_SERVER_MODELS": "/models"}
    chosen = settings.parse(["--http-port", "9001"], environment)
    assert (chosen.http_port, chosen.models) == (9001, Path("/models"))


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("1", True), ("no", False), ("False", False)]
)
def test_a_switch_by_its_variable(text: str, *, expected: bool) -> None:
    assert settings.parse([], {"MODEL_SERVER_SKIP_BROKEN": text}).skip_broken is expected


def test_a_switch_is_turned_off_by_a_flag() -> None:
    assert settings.parse(["--no-grpc"], {"MODEL_SERVER_GRPC": "true"}).grpc is False


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--http-port", "x"], {}, "argument --http-port: invalid int value: 'x'"),
        (["--http-port", "-1"], {}, "--http-port must not be negative: -1"),
        (["--nonsense"], {}, "unrecognized arguments: --nonsense"),
        ([], {"MODEL_SERVER_HTTP_PORT": "x"}, "MODEL_SERVER_HTTP_PORT must be int, not 'x'"),
        ([], {"MODEL_SERVER_GRPC": "maybe"}, "MODEL_SERVER_GRPC must be true or false"),
        ([], {"MODEL_SERVER_LOG_LEVEL": "loud"}, "MODEL_SERVER_LOG_LEVEL must be one of debug"),
        ([], {"MODEL_SERVER_HTP_PORT": "1"}, "MODEL_SERVER_HTP_PORT is not a setting"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: list[str],
    environment: dict[str, str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        settings.parse(arguments, environment)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_every_setting_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse(["--help"], {})
    text = capsys.readouterr().out
    for setting in fields(Settings):
        assert "--" + setting.name.replace("_", "-") in text
