"""Calls of a process that fail, by a library that is loaded into it (`shim.c`)."""

import ctypes
import mmap
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KINDS = ("accept", "read", "write", "mmap", "open", "allocation")
ANYWHERE, SOCKETS, FILES = range(3)

_SOURCE = Path(__file__).with_name("shim.c")


@dataclass(frozen=True)
class Fault:
    """Which call fails.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    number : int
        Of the first call that fails, from 1.
    error : int
        The errno of it.
    where : int
        What files it can fail on.
    times : int
        How many calls fail from that one on.
    """

    kind: str
    number: int
    error: int
    where: int = ANYWHERE
    times: int = 1


class _Control(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_long),
        ("times", ctypes.c_long),
        ("failed", ctypes.c_long),
        ("pid", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("error", ctypes.c_int),
        ("where", ctypes.c_int),
        ("calls", ctypes.c_long * len(KINDS)),
    )


class Shim:
    """The library, built for a process that is started with its environment.

    Parameters
    ----------
    folder : Path
        For the library and what it is told by.

    Attributes
    ----------
    environment : dict of str to str

    Raises
    ------
    FileNotFoundError
        If there is no C compiler.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise FileNotFoundError("no C compiler: install gcc, whose command is cc")
        library, told = folder / "shim.so", folder / "fault"
        subprocess.run(
            [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, _SOURCE],
            check=True,
        )
        told.write_bytes(bytes(ctypes.sizeof(_Control)))
        with told.open("r+b") as file:
            self._control = _Control.from_buffer(mmap.mmap(file.fileno(), 0))
        self.environment = {"LD_PRELOAD": str(library), "SHIM": str(told)}

    def set(self, fault: Fault, pid: int = 0) -> None:
        """Have a call fail, of those from now on: of a process, or of all with the library."""
        control = self._control
        self.clear()
        control.pid, control.kind = pid, KINDS.index(fault.kind)
        control.error, control.where = fault.error, fault.where
        control.times, control.failed = fault.times, 0
        control.calls = type(control.calls)()
        control.left = fault.number

    def clear(self) -> None:
        """Have no call fail."""
        self._control.left = 0

    @property
    def failed(self) -> int:
        """How many calls have failed since the fault was set."""
        return int(self._control.failed)

    @property
    def calls(self) -> dict[str, int]:
        """How many calls of each kind there were since then."""
        return dict(zip(KINDS, self._control.calls, strict=True))
