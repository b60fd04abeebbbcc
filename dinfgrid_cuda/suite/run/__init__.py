"""One run of a problem of the suite: request, models, results, files."""
