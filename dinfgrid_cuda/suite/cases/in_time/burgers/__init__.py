"""A sine that steepens into a shock."""
