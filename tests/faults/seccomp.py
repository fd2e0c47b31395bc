"""A kernel that exchanges no directories, as some filesystems do not."""

import ctypes
import errno
import platform
import struct

_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FLAGS = 0, 48
_EXCHANGE = 2
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_exchange() -> None:
    """Have renameat2(2) exchange nothing in this process and its children, but fail with ENOSYS."""
    steps = [
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 3, _RENAMEAT2[platform.machine()]),
        (_LOAD, 0, 0, _FLAGS),
        (_JUMP_IF_EQUAL, 0, 1, _EXCHANGE),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    ]
    program = _Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")
