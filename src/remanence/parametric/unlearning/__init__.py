"""Making weights forget: losses, the initialisation that goes with them, and the run. What came of it is probed in `parametric.probing`."""
