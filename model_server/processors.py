"""How many processors there are for this server."""

import contextlib
import math
import os
from pathlib import Path


def there_are(root: Path = Path("/")) -> int:
    """Return how many this process may use: of its affinity, and of the time that its cgroup has.

    Parameters
    ----------
    root : Path
        Where the system's files are: of a container, whose cgroup is the uppermost one.
    """
    n_processors = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # the latter for "max"
        quota_us, period_us = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        n_processors = min(n_processors, math.ceil(int(quota_us) / int(period_us)))
    with contextlib.suppress(OSError, ValueError):
        folder = root / "sys/fs/cgroup/cpu"
        quota_us = (folder / "cpu.cfs_quota_us").read_text()
        period_us = (folder / "cpu.cfs_period_us").read_text()
        if int(quota_us) > 0:  # -1 is none
            n_processors = min(n_processors, math.ceil(int(quota_us) / int(period_us)))
    return max(n_processors, 1)
