"""How much memory this process may use, so that what does not fit is refused in time."""

import os
import resource


def total() -> int:
    """Bytes that this process may use: the machine's memory, or its own lower limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return machine if soft == resource.RLIM_INFINITY else min(machine, soft)
