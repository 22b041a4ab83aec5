"""Question → hits (MemOperator): channels, each explained, fused by one measured profile."""
