"""Embedding a gallery once and searching it at any capacity."""
