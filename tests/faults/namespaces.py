"""Commands in a mount namespace of their own, with a disk that is full, read-only or missing."""

from collections.abc import Callable
from pathlib import Path

from harness.processes import ROOT

TRIAL = ["unshare", "--map-root-user", "--mount", "true"]
"""Ends with status 0 where the system lets us make namespaces."""

DISK = Path("/mnt")
"""Where the disk is, which every system has a folder for."""

Setup = Callable[[Path], str]
"""Given what to copy to the disk, the lines of a shell."""


def isolated(setup: str, *command: str) -> list[str]:
    """Return a command that runs `command`, under its own process id, after a shell's `setup`."""
    return [*TRIAL[:-1], "sh", "-ec", f'{setup}\nexec "$@"', "sh", *command]


def full(content: Path) -> str:
    """Set up a disk with no room left."""
    return f"""
    mount -t tmpfs -o size=4m tmpfs {DISK}
    cp -rL {content}/. {DISK}
    cat /dev/zero > {DISK}/rest 2> /dev/null || true
    """


def read_only(content: Path) -> str:
    """Set up a disk that can't be written."""
    return f"""
    mount -t tmpfs tmpfs {DISK}
    cp -rL {content}/. {DISK}
    mount -o remount,ro {DISK}
    """


def no_tmp(content: Path) -> str:
    """Set up a disk, and no folder for passing files; to Python the working directory is one.

    A checkout below ``/tmp`` stays where it is.
    """
    return f"""
    mount -t tmpfs tmpfs {DISK}
    cp -rL {content}/. {DISK}
    mount -t tmpfs tmpfs /var/tmp
    mkdir /var/tmp/checkout
    mount --rbind {ROOT} /var/tmp/checkout
    mount -t tmpfs tmpfs /tmp
    mkdir -p {ROOT}
    mount --rbind /var/tmp/checkout {ROOT}
    umount -l /var/tmp/checkout
    mount -o remount,ro /var/tmp
    mount -o remount,ro /tmp
    cd /tmp
    """
