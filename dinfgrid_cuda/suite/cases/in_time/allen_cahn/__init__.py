"""Two phases that separate, on a ring."""
