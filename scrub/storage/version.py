"""The version of scrub, which everything on disk carries."""

VERSION = "0.2.0"
