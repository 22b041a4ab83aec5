"""The commands of the command line: one small function each, one file for each area."""
