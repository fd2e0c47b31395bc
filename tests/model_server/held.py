"""Servers whose interpreter's lock a thread holds, for ever in effect, from a moment on."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "holder"


def environment(begins: Path, by: str = "work") -> dict[str, str]:
    """Return the variables with which a server is started.

    Parameters
    ----------
    begins : Path
        A file that is made when the lock is to be held.
    by : {"work", "sleep"}
        Whether the thread computes meanwhile, or does nothing at all.
    """
    return {"PYTHONPATH": str(_FOLDER), "HOLD_FROM": str(begins), "HOLD_BY": by}
