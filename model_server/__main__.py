"""``python -m model_server``: leave at a signal from the first moment on, and run the program.

``python -m model_server pack`` makes a model directory.
"""

import os
import signal
import sys

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Run the program; return the exit status.

    What it needs is imported here, which takes a second. A signal that comes meanwhile, or while
    models are loaded, ends the process, also where that is number 1 of a container and signals have
    no default action.
    """
    for number in _SIGNALS:
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # start.sh has blocked them
    if sys.argv[1:2] == ["pack"]:
        return _pack(sys.argv[2:])
    from model_server import program

    return program.run()


def _pack(arguments: list[str]) -> int:
    try:
        from model_server.packing import command
    except ModuleNotFoundError as error:
        print(
            f"error: pack needs {error.name}: pip install 'sklearn-model-server[pack]'",
            file=sys.stderr,
        )
        return 1
    return command.main(arguments)


def _leave(*_: object) -> None:
    os._exit(0)  # no import that is under way can catch it


if __name__ == "__main__":
    sys.exit(main())
