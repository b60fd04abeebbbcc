"""The problems of `dinfgrid list`, their runs, pictures and studies: an application."""
