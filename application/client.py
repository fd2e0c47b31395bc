"""Who asks: the address at the other end, or what the proxies that are trusted say of theirs."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

_HOME_BITS = 64
"""What one household or host gets of IPv6."""
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


def networks(text: str) -> Networks:
    """Read addresses or networks, parted by commas.

    Raises
    ------
    ValueError
        If one is none.
    """
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


def payer(scope: Scope) -> str:
    """Return whom a request is counted for: an address of IPv4, or a home's network of IPv6."""
    host: str = scope["client"][0] if scope.get("client") else ""
    address = _address(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _HOME_BITS), strict=False))
    return str(address or host)


class Forwarded:
    """Put the client and the scheme that a trusted proxy tells in the place of its own.

    Each proxy adds whom it was asked by to the right of ``X-Forwarded-For``. So the client is the
    first from the right that is no trusted proxy; what stands further left may be made up.

    Parameters
    ----------
    app : ASGIApp
    proxies : Networks
        The trusted ones.
    """

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if peer is not None and self._trusts(peer):
            headers = Headers(scope=scope)
            client = self._client(peer, headers.getlist("x-forwarded-for"))
            scheme = headers.get("x-forwarded-proto", "")
            scope = {**scope, "client": (str(client), 0)}
            if scheme in {"http", "https"}:
                scope["scheme"] = scheme
        await self._app(scope, receive, send)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)

    def _client(self, peer: Address, lines: Sequence[str]) -> Address:
        client = peer
        for hop in reversed(",".join(lines).split(",")):
            address = _address(hop.strip())
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client


def _address(text: str) -> Address | None:
    """Read an address, with a port or without; None where it is none."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
