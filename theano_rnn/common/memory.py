"""How much memory there is: what does not fit is refused before any of it is taken."""

import os
import resource


def total() -> int:
    """Bytes that this process may come to: those of the machine, or a lower limit set on it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return machine if soft == resource.RLIM_INFINITY else min(machine, soft)
