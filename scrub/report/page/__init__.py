"""The page of a stored run: one HTML file that opens offline, made from what the run stored."""
