"""Problems on curved shapes: outlines, exact solutions, data on the boundary."""
