"""Waves of point sources, and standing waves in a box."""
