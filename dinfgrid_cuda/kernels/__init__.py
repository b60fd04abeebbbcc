"""The two operations, gather and scatter, their grids and bases, and the compiled module."""
