"""What a model is made of, without torch: names, positions, edges, shapes, and one row for each kind of component."""
