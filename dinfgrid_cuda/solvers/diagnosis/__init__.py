"""Diagnosis of a solution: residuals between the points, stability, error, and what to do."""
