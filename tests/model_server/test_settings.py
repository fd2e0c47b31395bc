import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.processes import ROOT
from model_server import processors, settings
from model_server.settings import Settings

DIGEST = "0123456789abcdef" * 4
SWITCHES = [name for name, field in Settings.model_fields.items() if field.annotation is bool]
NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation is int]
BOUNDS = {
    "http_port": (0, 65535),
    "grpc_port": (0, 65535),
    "body_limit_bytes": (1, 2**31 - 1),
    "header_limit_bytes": (1, None),
    "rows_limit": (1, None),
    "header_timeout_s": (1, 86400),
    "body_timeout_s": (1, 86400),
    "connections_limit": (1, None),
    "requests_limit": (1, None),
    "bytes_limit": (0, None),
    "queue_limit_ms": (0, 86_400_000),
    "request_limit_s": (0, 86400),
    "workers_per_model": (1, 256),
    "workers": (1, 256),
    "memory_limit_bytes": (0, None),
    "drain_delay_s": (0, 86400),
    "drain_timeout_s": (0, 86400),
    "health_interval_s": (0, 86400),
    "stuck_timeout_s": (0, 86400),
}


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    return "MODEL_SERVER_" + name.upper()


def refusal(
    capsys: pytest.CaptureFixture[str], arguments: list[str], environment: dict[str, str]
) -> str:
    """Return the one line that is said where the settings are refused."""
    with pytest.raises(SystemExit) as stopped:
        settings.parse(arguments, environment)
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("python -m model_server: error: ")
    return line.removeprefix("python -m model_server: error: ")


def test_defaults() -> None:
    assert settings.parse([], {}) == Settings()
    assert Settings().body_limit_bytes == 6 * 1024**2


def test_the_defaults_are_allowed() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_they_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().http_port = 1  # type: ignore[misc]


def test_only_what_is_given_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_HTTP_PORT", "9000")
    assert settings.parse([], {}).http_port == Settings().http_port == 8080


@pytest.mark.parametrize(
    ("arguments", "environment", "port"),
    [
        ([], {"SAGEMAKER_BIND_TO_PORT": "9001"}, 8080),
        (["serve"], {"SAGEMAKER_BIND_TO_PORT": "9001"}, 9001),
        (["serve"], {"SAGEMAKER_BIND_TO_PORT": "9001", "MODEL_SERVER_HTTP_PORT": "9002"}, 9002),
        ([], {"MODEL_SERVER_HTTP_PORT": "9002"}, 9002),
        (["--http-port", "9003"], {"MODEL_SERVER_HTTP_PORT": "9002"}, 9003),
        (["serve", "--http-port=9003"], {"SAGEMAKER_BIND_TO_PORT": "9001"}, 9003),
    ],
)
def test_a_flag_wins_over_a_variable_and_that_over_the_platforms(
    arguments: list[str], environment: dict[str, str], port: int
) -> None:
    assert settings.parse(arguments, environment).http_port == port


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("models", "/models", Path("/models")),
        ("token_file", "tokens", Path("tokens")),
        ("rows_limit", "5", 5),
        ("invocations", "rooms", "rooms"),
        ("default_accept", "text/csv; header=present", "text/csv; header=present"),
        ("log_level", "debug", "debug"),
        ("expect_digest", f"rooms=sha256:{DIGEST}", {"rooms": DIGEST}),
    ],
)
def test_a_value_by_flag_and_by_variable(name: str, text: str, value: Any) -> None:
    assert getattr(settings.parse([flag(name), text], {}), name) == value
    assert getattr(settings.parse([], {variable(name): text}), name) == value


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_by_flag_and_by_variable(name: str) -> None:
    off = "--no-" + name.replace("_", "-")
    for value, text in ((True, "true"), (True, "1"), (False, "no"), (False, "False")):
        assert getattr(settings.parse([], {variable(name): text}), name) is value
    assert getattr(settings.parse([flag(name)], {variable(name): "false"}), name) is True
    assert getattr(settings.parse([off], {variable(name): "true"}), name) is False


def test_workers_may_be_one_a_processor() -> None:
    n_processors = processors.there_are()
    assert settings.parse([], {}).workers == 1
    assert settings.parse(["--workers", "auto"], {}).workers == n_processors
    assert settings.parse(["serve"], {}).workers == n_processors
    assert settings.parse(["serve", "--workers", "3"], {}).workers == 3
    for flags, environment in (
        (["serve"], {"SAGEMAKER_MULTI_MODEL": "1"}),
        (["serve", "--multi-model"], {}),
        (["serve"], {"MODEL_SERVER_MULTI_MODEL": "true"}),
    ):
        assert settings.parse(flags, environment).workers == 1


def test_digests_may_be_many() -> None:
    pins = [f"rooms=sha256:{DIGEST}", f"boston=sha256:{DIGEST[::-1]}"]
    expected = {"rooms": DIGEST, "boston": DIGEST[::-1]}

    by_flag = settings.parse([f"--expect-digest={pin}" for pin in pins], {})
    by_variable = settings.parse([], {"MODEL_SERVER_EXPECT_DIGEST": ", ".join(pins)})

    assert by_flag.expect_digest == by_variable.expect_digest == expected


def test_ssl_flags_as_kserve_writes_them() -> None:
    ours = settings.parse(["--ssl-certfile", "a", "--ssl-keyfile", "b"], {})

    assert settings.parse(["--ssl_certfile", "a", "--ssl_keyfile", "b"], {}) == ours
    assert (ours.ssl_certfile, ours.ssl_keyfile) == (Path("a"), Path("b"))


def test_every_number_has_its_bounds_tried_here() -> None:
    assert sorted(BOUNDS) == sorted(NUMBERS)


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items())
def test_the_bounds(
    name: str, bounds: tuple[int, int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    least, most = bounds
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    beyond = [str(least - 1), "x", "1.5", "", *([] if most is None else [str(most + 1)])]

    for value in (least, most or 2**62):
        assert getattr(settings.parse([flag(name), str(value)], {}), name) == value
    for text in beyond:
        reason = f" must be a whole number, {allowed}, not {text!r}"
        assert refusal(capsys, [f"{flag(name)}={text}"], {}) == flag(name) + reason
        assert refusal(capsys, [], {variable(name): text}) == variable(name) + reason


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        (["--nonsense"], {}, "unrecognized arguments: --nonsense"),
        (["--http", "1"], {}, "unrecognized arguments: --http 1"),
        (["--http-port"], {}, "argument --http-port: expected one argument"),
        (["--http-port", "serve"], {}, "--http-port must be a whole number, 0 to 65535"),
        ([], {"MODEL_SERVER_HTP_PORT": "1"}, "MODEL_SERVER_HTP_PORT is not a setting; --help"),
        (
            [],
            {"MODEL_SERVER_GRPC": "maybe"},
            "MODEL_SERVER_GRPC must be true or false, not 'maybe'",
        ),
        (
            ["--log-level", "loud"],
            {},
            "--log-level must be one of debug, info, warning, error, not 'loud'",
        ),
        (
            ["--expect-digest", f"a=sha256:{DIGEST}", "--expect-digest", "rooms=12"],
            {},
            "--expect-digest: 'rooms=12' is not name=sha256:<64 hexadecimal digits>",
        ),
        (
            [],
            {"MODEL_SERVER_EXPECT_DIGEST": f"=sha256:{DIGEST}"},
            "MODEL_SERVER_EXPECT_DIGEST: '=sha256:",
        ),
        (
            ["serve"],
            {"SAGEMAKER_BIND_TO_PORT": "99999"},
            "SAGEMAKER_BIND_TO_PORT must be a whole number, 0 to 65535, not '99999'",
        ),
        (
            ["serve"],
            {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2048"},
            "SAGEMAKER_MAX_PAYLOAD_IN_MB must be a whole number, 1 to 2147483647",
        ),
        (
            ["--rows-limit", "0"],
            {"MODEL_SERVER_LOG_LEVEL": "loud"},
            "--rows-limit must be a whole number, 1 or more, not '0'; MODEL_SERVER_LOG_LEVEL must",
        ),
        (["--rows-limit", "9" * 5000], {}, "--rows-limit must be a whole number, 1 or more"),
        (["--log-level", "a\nb"], {}, "--log-level must be one of debug, info"),
        (["--workers", "many"], {}, "--workers must be a whole number, 1 to 256, not 'many'"),
        (["--multi-model", "--workers", "2"], {}, "--multi-model loads models into one process"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    environment: dict[str, str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refusal(capsys, arguments, environment)

    assert said.startswith(line)
    assert len(said) < 250


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--http-port", "9000", "--grpc-port", "9000"], {}),
        (["--http-port", "8081"], {}),
        ([], {"MODEL_SERVER_GRPC_PORT": "8080"}),
    ],
)
def test_one_port_for_both_is_refused(
    arguments: list[str], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, arguments, environment)

    assert re.fullmatch(r"--http-port and --grpc-port are both \d+: set another .*--no-grpc", said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http-port=8081", "--no-grpc"],
        ["--http-port=0", "--grpc-port=0"],
        ["serve", "--http-port=8081"],
    ],
)
def test_one_port_is_no_matter_where_only_one_is_listened_on(arguments: list[str]) -> None:
    assert settings.parse(arguments, {})


@pytest.mark.parametrize("name", ["ssl_certfile", "ssl_keyfile"])
def test_a_certificate_and_its_key_go_together(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, [flag(name), "file"], {})

    assert said == "--ssl-certfile and --ssl-keyfile go together: set both or none"


@pytest.mark.parametrize("word", [[], ["serve"]])
def test_the_help_tells_every_setting(word: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        settings.parse([*word, "--help"], {})

    text = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    assert "--ssl_certfile" in text
    assert "A flag wins." in text
    for name, field in Settings.model_fields.items():
        assert field.description
        [told] = re.findall(
            rf"{flag(name)}[, ][^()]*{re.escape(field.description)} \((.*?)\)", text
        )
        default = "none" if field.default in (None, "", {}, ()) else field.default
        assert told.endswith(f"default: {default}")


@pytest.mark.slow
def test_a_process_says_one_line_too() -> None:
    command = [sys.executable, "-m", "model_server", "--http-port", "99999"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.endswith("--http-port must be a whole number, 0 to 65535, not '99999'")


def test_the_schema_tells_every_setting() -> None:
    schema = Settings.model_json_schema()
    json.dumps(schema)

    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == Settings.model_fields.keys()
    for name, (least, most) in BOUNDS.items():
        told = schema["properties"][name]
        if name == "workers":
            told, auto = told["anyOf"]
            assert auto["const"] == "auto"
        assert (told["type"], told["minimum"], told.get("maximum")) == ("integer", least, most)
