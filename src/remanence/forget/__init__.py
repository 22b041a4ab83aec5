"""id → erased everywhere, and checked."""
