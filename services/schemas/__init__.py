"""Schemas of the demonstration, its records, and the scorecard fitted on them."""
