"""A sheet hung by two corners, a nonlinear shell."""
