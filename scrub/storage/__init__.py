"""Runs on disk: numbers in blocks, kept under a name that says all that they depend on, and what changed since."""
