"""How rows are made and written: one file a reader; `scrub.claims.dataset` holds what they make."""
