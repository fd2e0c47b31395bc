"""The ceiling: uvicorn alone, answering every request with constant bytes once it has its body.

It runs with the libraries of this server, httptools and uvloop, and does nothing else.
"""

import argparse
import json

import uvicorn
from starlette.types import Receive, Scope, Send


class Constant:
    """Answer with `length` bytes.

    Parameters
    ----------
    length : int
        Of the body, in bytes.
    """

    def __init__(self, length: int) -> None:
        self._start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(length).encode()),
            ],
        }
        self._body = {"type": "http.response.body", "body": b" " * length}

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(self._start)
        await send(self._body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.ceiling")
    parser.add_argument("--length", type=int, required=True, help="bytes of an answer")
    arguments = parser.parse_args()
    config = uvicorn.Config(
        Constant(arguments.length),
        port=0,
        log_config=None,
        http="httptools",
        loop="uvloop",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
    )
    with config.bind_socket() as listener:
        served = {"message": "serving", "http_port": listener.getsockname()[1]}
        print(json.dumps(served), flush=True)
        uvicorn.Server(config).run(sockets=[listener])
