"""Corners, a slit, a small hole and layers: solutions that want levels where they are needed."""
