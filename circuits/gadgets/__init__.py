"""Reusable pieces of circuits, one idea a file."""
