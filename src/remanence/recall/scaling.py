"""Channels of different units, brought to one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6  # share of the largest value: below it float32 sums of the same numbers differ by their order


def zscore(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Distance from the mean in standard deviations; zeros where the values differ by no more than rounding does."""
    exact = values.astype(np.float64)
    deviation = float(exact.std()) if len(exact) else 0.0
    if deviation <= _ROUNDING * float(np.abs(exact).max(initial=1.0)):
        return np.zeros_like(exact)
    return (exact - exact.mean()) / deviation
