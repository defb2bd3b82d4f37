"""What users call, one file a verb: short compositions of the passes."""
