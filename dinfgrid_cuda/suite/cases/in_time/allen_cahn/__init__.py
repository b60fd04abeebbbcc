"""Two phases that part, on a ring."""
