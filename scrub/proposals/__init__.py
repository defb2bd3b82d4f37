"""Which parts of a model are worth claiming: estimates by gradients, verified by exact patching."""
