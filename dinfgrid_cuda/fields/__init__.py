"""Functions of the coordinates with jets: grids, decoders, constraints, fields, networks."""
