"""scrub: test an explanation of a neural network instead of believing it."""
