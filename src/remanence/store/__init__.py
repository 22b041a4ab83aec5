"""Cubes ↔ one file (MemVault). Other kinds of store implement `protocol.Store` and pass the same contract tests."""
