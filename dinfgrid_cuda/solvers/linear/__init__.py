"""The least-squares problem at the present features, and the systems that solve it."""
