"""What a claim's components look like from inside: attention, streams, writes, probes. Evidence, no score."""
