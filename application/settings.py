"""The settings: one frozen object, from flags and from ``APPLICATION_*`` variables.

This is the only place that reads the environment. A flag wins over its variable.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from application.client import networks

PREFIX = "APPLICATION_"


def _sound_networks(text: str) -> str:
    networks(text)
    return text


Proxies = Annotated[str, AfterValidator(_sound_networks)]


class Settings(BaseSettings):
    """A web page for every model of a model server.

    Each setting is also read from the environment: --port from APPLICATION_PORT, and so on. A flag
    wins.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        cli_prog_name="python -m application",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        frozen=True,
        use_attribute_docstrings=True,
    )

    endpoint: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    """address of the model server"""
    endpoint_ca: Path | None = None
    """file with the certificates to trust, where the endpoint's is not publicly signed"""
    token_file: Path | None = None
    """file with a bearer token for the endpoint; read again when it changes"""
    timeout_s: PositiveFloat = 10
    """how long a prediction may take, with its repetitions"""
    host: str = "0.0.0.0"  # noqa: S104 - a container's port is published by who runs it
    """address to listen on"""
    port: NonNegativeInt = 8000
    """port to listen on; 0 takes a free one"""
    trusted_proxies: Proxies = ""
    """addresses or networks, by commas, of proxies whose X-Forwarded-For and -Proto are believed"""
    front: str = "rooms"
    """the model of the front page"""
    report_url: AnyHttpUrl | None = None
    """where the models' reports can be read, for a link"""
    upload_limit_bytes: PositiveInt = 32 * 1024**2
    """longest CSV file; all that are read at a time may be four times as long together"""
    upload_timeout_s: PositiveFloat = 60
    """how long a file may take to come in, and its answer to go"""
    connections_limit: PositiveInt = 1024
    """most connections; where one more comes, the one that has been silent longest is let go"""
    header_timeout_s: PositiveFloat = 10
    """how long a request's head may take to come in"""
    rate_limit: NonNegativeInt = 600
    """requests a minute from one client; 0 for any number"""
    drain_delay_s: NonNegativeFloat = 1
    """how long connections are still accepted after SIGTERM, while clients move on"""
    drain_timeout_s: PositiveInt = 20
    """how long requests in flight may take after that"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """least level that is logged"""


def parse(arguments: Sequence[str]) -> Settings:
    """Read the settings, or print the help or what is wrong and exit.

    Parameters
    ----------
    arguments : sequence of str
        The command line without the program's name.

    Raises
    ------
    SystemExit
        With status 0 after ``--help``, with status 2 after a line that names a bad setting.
    """
    try:
        return Settings(_cli_parse_args=list(arguments))
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            flag = name.replace("_", "-")
            sys.stderr.write(
                f"python -m application: --{flag} or {PREFIX}{name.upper()}: "
                f"{problem['msg'].removeprefix('Value error, ')}, not {problem['input']!r}\n"
            )
        raise SystemExit(2) from None
