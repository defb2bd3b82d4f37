"""From values to a verdict: metrics, statistics, diagnostics, explanation."""
