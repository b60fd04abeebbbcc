"""Problems with time as an axis."""
