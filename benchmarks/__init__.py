"""Measurements beside the field's best, runnable by a stranger."""
