"""Refinement: where a grid needs smaller cells, and the boxes that have them."""
