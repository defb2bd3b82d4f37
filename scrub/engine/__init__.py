"""From a claim to values: unroll -> draw -> plan -> evaluate."""
