"""What a solution is worth: residuals between the points, stability, error, and what to do."""
