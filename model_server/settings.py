"""The settings: one frozen object, from flags and from ``MODEL_SERVER_*`` variables.

This is the only place that reads the environment. A flag wins over its variable, and that over what
Amazon SageMaker sets where it starts the server with the word ``serve``. Each setting is told once,
as a field of `Settings`: its flag, its variable, its line of the help, what is said of a bad value
and its schema in the chart are made from that.
"""

import argparse
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from model_server import processors

PREFIX = "MODEL_SERVER_"
SERVE = "serve"
_PLATFORM = {
    "http_port": "SAGEMAKER_BIND_TO_PORT",
    "default_accept": "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
    "multi_model": "SAGEMAKER_MULTI_MODEL",
}
"""What is read from a variable of the platform's own after the word ``serve``."""
_BATCH_QUEUE_LIMIT_MS = 60_000
"""A batch job sends no more at a time than it is told to, and waits."""
_BATCH_REQUEST_LIMIT_S = 3600
"""The longest that a batch job waits for an answer, its ``InvocationsTimeoutInSeconds``."""
_DAY_S = 24 * 60 * 60
"""More is a mistake in the unit, and timers of the system overflow somewhere."""


def _pins(given: Any) -> Any:
    """Read each ``name=sha256:...``: a list from flags, parted by commas from a variable."""
    if isinstance(given, Mapping):
        return given
    pins = {}
    for text in given.split(",") if isinstance(given, str) else given:
        name, _, digest = text.strip().partition("=sha256:")
        if not name or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"{text!r:.80} is not name=sha256:<64 hexadecimal digits>")
        pins[name] = digest
    return pins


def _origins(given: Any) -> Any:
    """Read each ``https://pages.example``: a list from flags, parted by commas from a variable."""
    origins = []
    for text in given.split(",") if isinstance(given, str) else given:
        origin = text.strip().lower()
        if origin != "*" and not re.fullmatch(
            r"https?://(\[[0-9a-f:.]+\]|[^/\s:@?#]+)(:\d+)?", origin
        ):
            raise ValueError(f"{text!r:.80} is not *, nor an origin such as https://pages.example")
        origins.append(origin)
    return tuple(origins)


def _workers(given: Any) -> Any:
    """Read a number, or ``auto``: one a processor."""
    return processors.there_are() if given == "auto" else given


Port = Annotated[int, Field(ge=0, le=65535)]
Limit = Annotated[int, Field(ge=1)]
LimitOrNone = Annotated[int, Field(ge=0)]
Message = Annotated[int, Field(ge=1, le=2**31 - 1)]  # gRPC counts in 32 bits
Workers = Annotated[int, Field(ge=1, le=256)]
WorkersOrAuto = Annotated[
    int,
    BeforeValidator(_workers, json_schema_input_type=Workers | Literal["auto"]),
    Field(ge=1, le=256),
]
Seconds = Annotated[int, Field(ge=1, le=_DAY_S)]
SecondsOrNone = Annotated[int, Field(ge=0, le=_DAY_S)]
Milliseconds = Annotated[int, Field(ge=0, le=_DAY_S * 1000)]
Level = Literal["debug", "info", "warning", "error"]
Pins = Annotated[dict[str, str], BeforeValidator(_pins, json_schema_input_type=str)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins, json_schema_input_type=str)]


class Settings(BaseModel):
    """What can be set, each with its bounds, its default and its help.

    The help is not in docstrings, as pydantic would look for them in every module: 40 ms a start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Path = Field(Path("models"), description="folder whose model directories are served")
    http_port: Port = Field(
        8080, description="port of the v1 and v2 REST routes; 0 takes a free one"
    )
    grpc: bool = Field(default=True, description="serve the v2 gRPC routes as well")
    grpc_port: Port = Field(8081, description="port of the v2 gRPC routes")
    health_port: Port | None = Field(
        None,
        description="port of health and metrics alone, which no limit, token or certificate of the "
        "others touches",
    )

    skip_broken: bool = Field(
        default=False,
        description="serve the sound models and report a broken one as not ready, instead of "
        "stopping",
    )
    expect_digest: Pins = Field(
        {},
        description="serve a model only if this is the SHA-256 of its manifest; once for each "
        "model, none other is served",
    )
    pickle: bool = Field(
        default=True, description="serve models without a graph, by unpickling them"
    )
    repository_api: bool = Field(
        default=False,
        description="let requests unload models and load them again from their directories",
    )
    cors_origins: Origins = Field(
        (),
        description="origin whose pages may ask from a browser, such as https://pages.example; "
        "once for each, * is any",
    )
    docs: bool = Field(
        default=False,
        description="serve pages of the API on /docs; they and /openapi.json need no token then",
    )
    token_file: Path | None = Field(
        None,
        description="file of bearer tokens, one a line; only health and metrics are open without "
        "one",
    )
    ssl_certfile: Path | None = Field(
        None, description="certificate chain in PEM, for HTTPS and gRPC"
    )
    ssl_keyfile: Path | None = Field(None, description="its key in PEM")

    body_limit_bytes: Message = Field(6 * 1024**2, description="longest request body, in bytes")
    header_limit_bytes: Limit = Field(32 * 1024, description="longest request line with headers")
    rows_limit: Limit = Field(2_000_000, description="most rows of one request")
    ignore_surplus: bool = Field(
        default=False,
        description="read rows whose columns are not all features, without those that are none",
    )
    header_timeout_s: Seconds = Field(
        10, description="how long a request's head may take to come in"
    )
    body_timeout_s: Seconds = Field(
        30, description="how long a whole request may, or an answer to go"
    )
    connections_limit: Limit = Field(
        4096, description="most HTTP connections; gRPC has a quarter as many"
    )
    requests_limit: Limit = Field(1024, description="most requests in flight")
    bytes_limit: LimitOrNone = Field(
        0,
        description="memory that they may take together, in bytes; 0: what the limit of the "
        "container, or else the machine, leaves",
    )
    queue_limit_ms: Milliseconds = Field(
        100,
        description="how long work may wait until it is begun; what would wait longer is answered "
        "503",
    )

    request_limit_s: SecondsOrNone = Field(
        30,
        description="longest prediction that is begun, by what it is expected to take; one that "
        "takes twice as long all the same is ended where it can be; 0: none is too long",
    )
    workers_per_model: Workers = Field(
        1,
        description="processes in which each estimator without a graph predicts, one request at a "
        "time",
    )

    workers: WorkersOrAuto = Field(
        1,
        description="processes that serve, each on its share of the connections and within the "
        "limits of those and of requests; auto: one a processor",
    )

    mlflow: bool = Field(
        default=False,
        description="answer the routes of MLflow's scoring server as well: /invocations, /ping, "
        "/health, /version",
    )
    sagemaker: bool = Field(default=False, description="answer Amazon SageMaker's routes as well")
    sagemaker_models: Path = Field(
        Path("/opt/ml/model"),
        description="folder that is served in place of --models where the platform has put a model "
        "there",
    )
    invocations: str = Field(
        "", description="model that /invocations asks, where there are several"
    )
    default_accept: str = Field(
        "application/json",
        description="media type of an answer to the platform whose Accept does not care",
    )
    multi_model: bool = Field(
        default=False,
        description="begin with no model, and let the platform load and unload them",
    )
    multi_model_root: Path = Field(
        Path("/opt/ml/models"), description="folder below which it may load them from"
    )
    memory_limit_bytes: LimitOrNone = Field(
        0,
        description="memory of the process beyond which no more are loaded; 0: four fifths of what "
        "there is",
    )

    drain_delay_s: SecondsOrNone = Field(
        1,
        description="how long connections are still accepted after SIGTERM, while clients move on",
    )
    drain_timeout_s: SecondsOrNone = Field(
        20, description="how long requests in flight may take after that"
    )
    health_interval_s: SecondsOrNone = Field(
        10, description="how often each model predicts its golden rows again; 0: never"
    )
    stuck_timeout_s: SecondsOrNone = Field(
        60,
        description="end the process, and show where it is, if its event loop stands still so "
        "long; 0: never",
    )

    log_level: Level = Field("info", description="least level that is logged")
    access_log: bool = Field(default=False, description="log a line for every request")
    print_example: bool = Field(
        default=False, description="print a curl command to paste once models are served"
    )

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("--ssl-certfile and --ssl-keyfile go together: set both or none")
        if self.mlflow and self.sagemaker:
            raise ValueError("--mlflow and --sagemaker have routes in common: set one of them")
        if self.multi_model and self.workers > 1:
            raise ValueError(
                "--multi-model loads models into one process: leave --workers at 1 with it"
            )
        ports = [("--http-port", self.http_port), ("--health-port", self.health_port)]
        if self.grpc:
            ports.append(("--grpc-port", self.grpc_port))
        for (flag, port), (other, taken) in itertools.combinations(ports, 2):
            if port == taken and port:
                cure = ", or --no-grpc" if other == "--grpc-port" else ""
                raise ValueError(
                    f"{flag} and {other} are both {port}: set another for one of them{cure}"
                )
        return self


_KINDS: dict[Any, tuple[str, str]] = {
    bool: ("", "true or false"),
    int: ("INT", "a whole number"),
    Port | None: ("INT", "a whole number"),
    str: ("TEXT", "a text in UTF-8"),
    Path: ("PATH", "a path"),
    Path | None: ("PATH", "a path"),
    Level: (f"{{{','.join(get_args(Level))}}}", f"one of {', '.join(get_args(Level))}"),
    tuple[str, ...]: ("ORIGIN", "an origin"),
    dict[str, str]: ("NAME=sha256:...", "name=sha256:<64 hexadecimal digits>"),
}
"""By its type, how a value is written in the help, and what it must be."""


_NOTHING: tuple[Any, ...] = (None, "", {}, ())
"""Defaults that are told as none."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, which the usage would hide."""
        self.exit(2, f"{self.prog}: error: {message}\n")


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
    parser = _parser()
    given: dict[str, tuple[str, Any]] = {}  # where each setting was found, and its value
    on_platform = list(arguments[:1]) == [SERVE]
    if on_platform:
        arguments = arguments[1:]
        given = _platform(environment)
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    for variable, text in environment.items():
        if variable in names:
            given[names[variable]] = (variable, text)
        elif variable.startswith(PREFIX):
            parser.error(f"{variable} is not a setting; --help lists them")
    for name, value in vars(parser.parse_args(arguments)).items():
        given[name] = (_flag(name), value)
    try:
        chosen = Settings.model_validate({name: value for name, (_, value) in given.items()})
    except ValidationError as error:
        told = (_told(problem, given) for problem in error.errors())
        parser.error("; ".join(told))
    if on_platform and not chosen.multi_model and "workers" not in given:
        return chosen.model_copy(update={"workers": processors.there_are()})
    return chosen


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m model_server",
        description="Serve every model directory below a folder, each under its name. "
        "`python -m model_server pack` makes one of a fitted estimator.",
        epilog=f"Each setting is also read from the environment: --http-port from "
        f"{PREFIX}HTTP_PORT, and so on. A flag wins. Amazon SageMaker starts the server with the "
        f"word `{SERVE}` before all flags: that means --sagemaker --no-grpc and the platform's own "
        "variables.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in Settings.model_fields.items():
        flags = [_flag(name)]
        if name.startswith("ssl_"):
            flags.append("--" + name)  # as KServe writes them
        default = "none" if field.default in _NOTHING else field.default
        notes = [*filter(None, [_bounds(field)]), f"default: {default}"]
        options: dict[str, Any] = {"metavar": _KINDS[field.annotation][0]}
        if field.annotation is bool:
            options = {"action": argparse.BooleanOptionalAction}
        elif isinstance(field.default, dict | tuple):
            options["action"] = "append"
        parser.add_argument(*flags, help=f"{field.description} ({'; '.join(notes)})", **options)
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _bounds(field: FieldInfo) -> str:
    """Return what a number must keep to; nothing for what is no number."""
    least, most = (
        next((getattr(each, key) for each in field.metadata if hasattr(each, key)), None)
        for key in ("ge", "le")
    )
    if least is None:
        return ""
    return f"{least} or more" if most is None else f"{least} to {most}"


def _told(problem: Any, given: Mapping[str, tuple[str, Any]]) -> str:
    """Say where a bad value came from, what it is, and what is allowed."""
    reason = problem.get("ctx", {}).get("error")
    if not problem["loc"]:
        return str(reason)
    field = Settings.model_fields[problem["loc"][0]]
    source, value = given[problem["loc"][0]]
    if reason is not None:
        return f"{source}: {reason}"
    allowed = ", ".join(filter(None, [_KINDS[field.annotation][1], _bounds(field)]))
    return f"{source} must be {allowed}, not {value!r:.80}"


def _platform(environment: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Return what Amazon SageMaker's ``serve`` and its variables set, and which of them does.

    The names are those of its documentation, and of the local mode of its SDK.
    """
    chosen: dict[str, tuple[str, Any]] = {"sagemaker": (SERVE, True), "grpc": (SERVE, False)}
    for name, variable in _PLATFORM.items():
        if variable in environment:
            chosen[name] = (variable, environment[variable])
    if environment.get("SAGEMAKER_BATCH", "").lower() == "true":
        chosen["queue_limit_ms"] = ("SAGEMAKER_BATCH", _BATCH_QUEUE_LIMIT_MS)
        chosen["request_limit_s"] = ("SAGEMAKER_BATCH", _BATCH_REQUEST_LIMIT_S)
        payload = environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "")
        if payload.isdecimal() and int(payload):
            limit_bytes = int(payload) * 1024**2
            chosen["body_limit_bytes"] = ("SAGEMAKER_MAX_PAYLOAD_IN_MB", limit_bytes)
    return chosen
