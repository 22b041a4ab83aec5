"""One reader per kind of file: bytes in, an outline or chat messages out."""
