"""Circuits as sets of components: what they keep of the model, and how sure that is."""
