"""What the connections of a listener share."""

from dataclasses import dataclass
from typing import Protocol

from model_server.http.authentication import Authentication
from model_server.http.cross_origin import CrossOrigin
from model_server.http.limits import Limits
from model_server.http.messages import Handler
from model_server.http.roster import Roster
from model_server.http.tls import Certificate
from model_server.inference.in_flight import InFlightLimiter


class Stopping(Protocol):
    """Who knows whether a stop is near."""

    stopping: bool


@dataclass(frozen=True)
class Service:
    """What the connections of a listener share.

    Attributes
    ----------
    handler : handler
    authentication : Authentication or None
    limits : Limits
        Of one connection.
    limiter : InFlightLimiter
        Of requests, over all protocols.
    roster : Roster
        Of the connections.
    health : Stopping
    certificate : Certificate or None
        For TLS.
    cross_origin : CrossOrigin or None
    """

    handler: Handler
    authentication: Authentication | None
    limits: Limits
    limiter: InFlightLimiter
    roster: Roster
    health: Stopping
    certificate: Certificate | None
    cross_origin: CrossOrigin | None = None
