"""How much memory this process may use, so that what does not fit is refused in time."""

import contextlib
import functools
import os
import resource
from collections.abc import Iterator
from pathlib import Path


def total() -> int:
    """Bytes that this process may use: the machine's memory, or a lower limit that it has.

    The limits are its own (``ulimit -v``) and those of its control groups, as a container or a
    batch system sets them.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    own = [] if soft == resource.RLIM_INFINITY else [soft]
    return min(machine, *own, *_limits_here())


@functools.cache  # total is asked for at every step, and limits seldom change
def _limits_here() -> tuple[int, ...]:
    return tuple(cgroup_limits(Path("/")))


def cgroup_limits(root: Path) -> Iterator[int]:
    """Bytes that the control groups of this process allow, of version 1 and 2.

    A group is bounded by those above it too. In a container the path may be the one outside, of
    which only the top is mounted; so what is not there is passed over.

    Parameters
    ----------
    root : path
        Of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux, or no /proc
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mounted, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError, ValueError):  # "max" is no number
                yield int((mounted / folder / name).read_text())
