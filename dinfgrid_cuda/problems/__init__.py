"""The paper's problems, each written with the public `Problem` and `Term`."""

PROBLEMS = {
    "poisson-image": "an image rebuilt from its gradient field, or its Laplacian, alone",
}

__all__ = ["PROBLEMS"]
