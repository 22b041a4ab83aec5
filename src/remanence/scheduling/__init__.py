"""Scheduling: in which form a memory is kept, by what that costs on this machine. Numbers in, a decision out; no store, no model."""
