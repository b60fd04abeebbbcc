"""A slotted disk that is turned around."""
