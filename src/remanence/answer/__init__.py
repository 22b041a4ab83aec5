"""Hits → an answer with citations, or an abstention."""
