"""Matrices of points on lattices, as products of one-dimensional matrices."""
