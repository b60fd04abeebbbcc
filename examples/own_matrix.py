"""A matrix for a solver of one's own: the tones of a square drum, an eigenvalue problem.

    -Δu = λu    for -1 < x, y < 1,    u = 0 on the sides

The exact eigenvalues are λ = (m² + n²) π²/4. `term_matrix` returns the derivative of a term's
residuals with respect to the features, a sparse matrix of scipy. From ∇u and u at Gauss points come
the stiffness matrix and the mass matrix of Galerkin's method.
"""

import math

import numpy as np
import torch
from scipy.sparse.linalg import eigsh

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)  # eigenvalues come out best in double precision
grid = dg.FeatureGrid(dim=2, cells=12, basis=dg.BSpline(5))
field = dg.Field(grid, constraint=dg.BoxConstraint())  # u = 0 on the sides is built in

# Each row holds the root of its point's weight: the product of two rows is part of an integral.
inside = dg.Interior(dg.GaussPoints(cells=12, per_cell=8))
slope = dg.term_matrix(field, dg.Term("slope", inside, lambda x, u: u.gradient[:, 0], order=1))
value = dg.term_matrix(field, dg.Term("value", inside, lambda x, u: u.value))

eigenvalues, modes = eigsh(slope.T @ slope, k=4, M=value.T @ value, sigma=0)
eigenvalues = np.sort(eigenvalues)
exact = np.array([2, 5, 5, 8]) * math.pi**2 / 4
print("eigenvalues", eigenvalues)
print(f"relative error of the eigenvalues: {np.abs(eigenvalues / exact - 1).max():.1e}")
