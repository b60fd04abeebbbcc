"""Where a problem lives: boxes, the regions on them, and the points that are taken there."""
