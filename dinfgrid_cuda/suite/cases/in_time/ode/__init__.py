"""Oscillators in time."""
