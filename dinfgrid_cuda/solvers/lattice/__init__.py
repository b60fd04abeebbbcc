"""Products of one-dimensional matrices: what points on lattices save."""
