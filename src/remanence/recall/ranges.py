"""Many runs of an array at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


def spread(starts: Places, ends: Places) -> tuple[Places, Places]:
    """The places of the runs [start, end), one after the other, and for each the number of its run."""
    sizes = ends - starts
    owner = np.repeat(np.arange(len(starts)), sizes)
    total = int(sizes.sum())
    before = np.cumsum(sizes) - sizes
    return np.arange(total) - np.repeat(before - starts, sizes), owner
