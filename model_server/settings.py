"""The settings: one frozen object, from flags and from ``MODEL_SERVER_*`` variables.

This is the only place that reads the environment. A flag wins over its variable.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

PREFIX = "MODEL_SERVER_"
_LEVELS = ("debug", "info", "warning", "error")


def _setting(help_text: str, *, default: Any, choices: Sequence[str] | None = None) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """What can be set, each with its default and its help."""

    models: Path = _setting("folder whose model directories are served", default=Path("models"))
    http_port: int = _setting("port of the v1 and v2 REST routes; 0 takes a free one", default=8080)
    grpc: bool = _setting("serve the v2 gRPC routes as well", default=True)
    grpc_port: int = _setting("port of the v2 gRPC routes", default=8081)
    skip_broken: bool = _setting(
        "serve the sound models and report a broken one as not ready, instead of stopping",
        default=False,
    )
    body_limit_bytes: int = _setting("longest request body, in bytes", default=6 * 1024**2)
    drain_delay_s: int = _setting(
        "how long connections are still accepted after SIGTERM, while clients move on", default=1
    )
    drain_timeout_s: int = _setting("how long requests in flight may take after that", default=20)
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
        f"{PREFIX}HTTP_PORT, and so on. A flag wins.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    known = {}
    for setting in fields(Settings):
        kind = type(setting.default)
        options: dict[str, Any] = {"help": setting.metadata["help"], "default": setting.default}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": kind, "choices": setting.metadata["choices"]}
            options["metavar"] = kind.__name__.upper() if options["choices"] is None else None
        known[setting.name] = parser.add_argument("--" + setting.name.replace("_", "-"), **options)
    _check_names(parser, environment)
    for name, action in known.items():
        text = environment.get(PREFIX + name.upper())
        if text is not None:
            parser.set_defaults(**{name: _read(parser, action, text)})
    settings = Settings(**vars(parser.parse_args(arguments)))
    for name, value in vars(settings).items():
        if type(value) is int and value < 0:
            parser.error(f"--{name.replace('_', '-')} must not be negative: {value}")
    return settings


def _check_names(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    names = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in names:
            parser.error(f"{variable} is not a setting; --help lists them")


def _read(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> Any:
    variable = PREFIX + action.dest.upper()
    if isinstance(action, argparse.BooleanOptionalAction):
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in known:
            parser.error(f"{variable} must be true or false, not {text!r}")
        return known[text.lower()]
    try:
        value = cast("type", action.type)(text)
    except ValueError:
        parser.error(f"{variable} must be {cast('type', action.type).__name__}, not {text!r}")
    if action.choices is not None and value not in action.choices:
        parser.error(f"{variable} must be one of {', '.join(action.choices)}, not {text!r}")
    return value
