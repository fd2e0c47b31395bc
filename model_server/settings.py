"""The settings: one frozen object, from flags and from ``MODEL_SERVER_*`` variables.

This is the only place that reads the environment. A flag wins over its variable, and that over what
Amazon SageMaker sets where it starts the server with the word ``serve``.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "MODEL_SERVER_"
SERVE = "serve"
_LEVELS = ("debug", "info", "warning", "error")
_BATCH_QUEUE_LIMIT_MS = 60_000
"""A batch job sends no more at a time than it is told to, and waits."""


def _setting(
    help_text: str,
    *,
    default: Any,
    kind: Callable[[str], Any] | None = None,
    choices: Sequence[str] | None = None,
    sagemaker: str = "",
) -> Any:
    """Declare a setting; one whose default is a tuple may be given many times.

    `sagemaker` is the variable that is read for it after the word ``serve``.
    """
    told = {"help": help_text, "kind": kind or type(default), "choices": choices}
    return field(default=default, metadata={**told, "sagemaker": sagemaker})


def _pin(text: str) -> tuple[str, str]:
    """Read ``name=sha256:...``."""
    name, _, digest = text.partition("=")
    if not name or not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=sha256:<64 hexadecimal digits>")
    return name, digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Settings:
    """What can be set, each with its default and its help."""

    models: Path = _setting(
        "folder whose model directories are served", default=Path("models"), kind=Path
    )
    http_port: int = _setting(
        "port of the v1 and v2 REST routes; 0 takes a free one",
        default=8080,
        sagemaker="SAGEMAKER_BIND_TO_PORT",
    )
    grpc: bool = _setting("serve the v2 gRPC routes as well", default=True)
    grpc_port: int = _setting("port of the v2 gRPC routes", default=8081)

    skip_broken: bool = _setting(
        "serve the sound models and report a broken one as not ready, instead of stopping",
        default=False,
    )
    expect_digest: Sequence[tuple[str, str]] = _setting(
        "serve a model only if this is the SHA-256 of its manifest, written name=sha256:...; once "
        "for each model, none other is served",
        default=(),
        kind=_pin,
    )
    pickle: bool = _setting("serve models without a graph, by unpickling them", default=True)
    repository_api: bool = _setting(
        "let requests unload models and load them again from their directories", default=False
    )
    token_file: Path | None = _setting(
        "file of bearer tokens, one a line; only health and metrics are open without one",
        default=None,
        kind=Path,
    )
    ssl_certfile: Path | None = _setting(
        "certificate chain in PEM, for HTTPS and gRPC", default=None, kind=Path
    )
    ssl_keyfile: Path | None = _setting("its key in PEM", default=None, kind=Path)

    body_limit_bytes: int = _setting("longest request body, in bytes", default=6 * 1024**2)
    header_limit_bytes: int = _setting("longest request line with headers", default=32 * 1024)
    rows_limit: int = _setting("most rows of one request", default=2_000_000)
    header_timeout_s: int = _setting("how long a request's head may take to come in", default=10)
    body_timeout_s: int = _setting("how long a whole request may, or an answer to go", default=30)
    connections_limit: int = _setting("most HTTP connections", default=4096)
    requests_limit: int = _setting("most requests in flight", default=1024)
    bytes_limit: int = _setting("length of all their bodies together", default=64 * 1024**2)
    queue_limit_ms: int = _setting(
        "how long work may wait until it is begun; what would wait longer is answered 503",
        default=100,
    )

    sagemaker: bool = _setting("answer Amazon SageMaker's routes as well", default=False)
    sagemaker_models: Path = _setting(
        "folder that is served in place of --models where the platform has put a model there",
        default=Path("/opt/ml/model"),
        kind=Path,
    )
    invocations: str = _setting(
        "model that /invocations asks, where there are several", default="", kind=str
    )
    default_accept: str = _setting(
        "media type of an answer to the platform whose Accept does not care",
        default="application/json",
        sagemaker="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
    )
    multi_model: bool = _setting(
        "begin with no model, and let the platform load and unload them",
        default=False,
        sagemaker="SAGEMAKER_MULTI_MODEL",
    )
    multi_model_root: Path = _setting(
        "folder below which it may load them from", default=Path("/opt/ml/models"), kind=Path
    )
    memory_limit_bytes: int = _setting(
        "memory of the process beyond which no more are loaded; 0: four fifths of what there is",
        default=0,
    )

    drain_delay_s: int = _setting(
        "how long connections are still accepted after SIGTERM, while clients move on", default=1
    )
    drain_timeout_s: int = _setting("how long requests in flight may take after that", default=20)
    health_interval_s: int = _setting(
        "how often each model predicts its golden rows again; 0: never", default=10
    )
    stuck_timeout_s: int = _setting(
        "end the process, and show where it is, if its event loop stands still so long; 0: never",
        default=60,
    )

    log_level: str = _setting("least level that is logged", default="info", choices=_LEVELS)
    access_log: bool = _setting("log a line for every request", default=False)
    print_example: bool = _setting(
        "print a curl command to paste once models are served", default=False
    )


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings, or print the help or what is wrong and exit.

    Parameters
    ----------
    arguments : sequence of str
        The command line without the program's name.
    environment : mapping of str to str

    Raises
    ------
    SystemExit
        With status 0 after ``--help``, with status 2 after a line that names a bad setting.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_server",
        description="Serve every model directory below a folder, each under its name.",
        epilog=f"Each setting is also read from the environment: --http-port from "
        f"{PREFIX}HTTP_PORT, and so on. A flag wins. Amazon SageMaker starts the server with the "
        f"word `{SERVE}` before all flags: that means --sagemaker --no-grpc and the platform's own "
        "variables.",
        allow_abbrev=False,
    )
    for setting in fields(Settings):
        _add(parser, setting)
    _check_names(parser, environment)
    platform = {}
    if list(arguments[:1]) == [SERVE]:
        arguments = arguments[1:]
        platform = _platform(parser, environment)
    variables = {
        setting.name: _read(parser, setting, variable, environment[variable])
        for setting in fields(Settings)
        if (variable := PREFIX + setting.name.upper()) in environment
    }
    flags = vars(parser.parse_args(arguments))
    settings = Settings(**(platform | variables | flags))
    for name, value in vars(settings).items():
        if type(value) is int and value < 0:
            parser.error(f"--{name.replace('_', '-')} must not be negative: {value}")
    if (settings.ssl_certfile is None) != (settings.ssl_keyfile is None):
        parser.error("--ssl-certfile and --ssl-keyfile go together: set both or none")
    return settings


def _add(parser: argparse.ArgumentParser, setting: Field[Any]) -> None:
    kind, choices = setting.metadata["kind"], setting.metadata["choices"]
    flags = ["--" + setting.name.replace("_", "-")]
    if setting.name.startswith("ssl_"):
        flags.append("--" + setting.name)  # as KServe writes them
    default = "none" if setting.default in (None, ()) else setting.default
    options: dict[str, Any] = {
        "help": f"{setting.metadata['help']} (default: {default})",
        "default": argparse.SUPPRESS,
    }
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options |= {"type": kind, "choices": choices}
        options["metavar"] = None if choices else kind.__name__.strip("_").upper()
    if isinstance(setting.default, tuple):
        options["action"] = "append"
    parser.add_argument(*flags, **options)


def _check_names(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    names = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in names:
            parser.error(f"{variable} is not a setting; --help lists them")


def _platform(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what Amazon SageMaker's ``serve`` and its variables set.

    The names are those of its documentation, and of the local mode of its SDK.
    """
    chosen: dict[str, Any] = {"sagemaker": True, "grpc": False}
    for setting in fields(Settings):
        variable = setting.metadata["sagemaker"]
        if variable in environment:
            chosen[setting.name] = _read(parser, setting, variable, environment[variable])
    if environment.get("SAGEMAKER_BATCH", "").lower() == "true":
        chosen["queue_limit_ms"] = _BATCH_QUEUE_LIMIT_MS
        payload = environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "")
        at_a_time = environment.get("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "")
        if payload.isdecimal() and int(payload):
            limit_bytes = int(payload) * 1024**2
            together_bytes = limit_bytes * (int(at_a_time) if at_a_time.isdecimal() else 1)
            chosen["body_limit_bytes"] = limit_bytes
            chosen["bytes_limit"] = max(Settings.bytes_limit, together_bytes)
    return chosen


def _read(parser: argparse.ArgumentParser, setting: Field[Any], variable: str, text: str) -> Any:
    """Read a variable as its flag is read; one that may be given many times, parted by commas."""
    kind, choices = setting.metadata["kind"], setting.metadata["choices"]
    if kind is bool:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in known:
            parser.error(f"{variable} must be true or false, not {text!r}")
        return known[text.lower()]
    try:
        if isinstance(setting.default, tuple):
            return [kind(part.strip()) for part in text.split(",")]
        value = kind(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"{variable}: {error}")
    except ValueError:
        parser.error(f"{variable} must be {kind.__name__}, not {text!r}")
    if choices is not None and value not in choices:
        parser.error(f"{variable} must be one of {', '.join(choices)}, not {text!r}")
    return value
