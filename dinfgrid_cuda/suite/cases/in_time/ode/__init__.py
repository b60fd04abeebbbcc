"""Oscillators, whose only coordinate is time."""
