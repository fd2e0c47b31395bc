"""The ceiling: a bare protocol on httptools and uvloop that answers with constant bytes.

It parses each request with the library that this server parses with, waits for its body, and does
nothing else: no limit, no timer, no JSON.
"""

import argparse
import asyncio
import json
import socket
from typing import cast

import httptools
import uvloop

from harness.ports import HOST


class Constant(asyncio.Protocol):
    """Answer the requests of a connection.

    Parameters
    ----------
    answer : bytes
        With its head.
    """

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer a request that has come in whole."""
        self._transport.write(self._answer)


async def _serve(listener: socket.socket, answer: bytes) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Constant(answer), sock=listener)
    told = {"message": "serving", "http_port": listener.getsockname()[1]}
    print(json.dumps(told), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.ceiling")
    parser.add_argument("--length", type=int, required=True, help="bytes of an answer")
    length = parser.parse_args().length
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    with socket.create_server((HOST, 0)) as taken:
        uvloop.run(_serve(taken, head.encode() + b" " * length))
