"""Results as plotly figures: numbers on hovering, zoom, and a legend that hides what is clicked. An extra."""
