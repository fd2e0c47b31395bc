"""``python -m model_server.workers FD``: the zygote, at the other end of the server's socket."""

import socket
import sys

from model_server.workers import zygote

if __name__ == "__main__":
    zygote.run(socket.socket(fileno=int(sys.argv[1])))
