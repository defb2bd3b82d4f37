"""Dictionaries on disk, one file a layout; each is read by what its own files say, and by no other package."""
