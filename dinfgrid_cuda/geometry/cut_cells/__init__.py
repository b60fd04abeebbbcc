"""Quadrature over the cells of a lattice that a shape cuts, and over its boundary in them."""
