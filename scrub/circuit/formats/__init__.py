"""How peers write circuits down, one form a file."""
