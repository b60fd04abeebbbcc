"""The commands of `dinfgrid`, whose errors are one line each."""
