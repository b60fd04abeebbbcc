#pragma once

#include <cmath>

#include "grid.h"

namespace dinfgrid {

/// A basis with what follows from its parameters.
template <typename Scalar>
Basis<Scalar> make_basis(BasisKind kind, int rho, bool normalize, double epsilon) {
  Basis<Scalar> basis{};
  basis.kind = kind;
  basis.rho = rho;
  basis.normalize = normalize;
  basis.epsilon = static_cast<Scalar>(epsilon);
  const double slope = 2 * epsilon * epsilon;
  basis.slope = static_cast<Scalar>(slope);
  basis.half_slope = static_cast<Scalar>(slope / 2);
  basis.decay = static_cast<Scalar>(std::exp(-slope));
  // exp(-epsilon^2 (d^2 - 1/4)) with d from s = t - 1/2 is at most exp(slope (|s| + 1/2)^2 / 2).
  const double range = sizeof(Scalar) == sizeof(float) ? 80 : 700;
  const double reach = std::sqrt(2 * range / slope) - 0.5;
  basis.reach = static_cast<Scalar>(reach > 0 ? reach * reach : 0);
  return basis;
}

/// The grid that dinfgrid_cuda/spec.py packs into numbers; the caller has checked them.
///   ints     dim, levels, basis kind, rho, normalize, boundary per axis, cells per axis (finest)
///   floats   epsilon, lower corner, upper corner
template <typename Scalar>
Grid<Scalar> unpack_grid(const int64_t* ints, const double* floats, int channels) {
  Grid<Scalar> grid{};
  grid.dim = static_cast<int>(ints[0]);
  grid.levels = static_cast<int>(ints[1]);
  grid.channels = channels;
  grid.basis = make_basis<Scalar>(static_cast<BasisKind>(ints[2]), static_cast<int>(ints[3]),
                                  ints[4] != 0, floats[0]);
  int64_t first_node = 0;
  for (int level = 0; level < grid.levels; ++level) {
    Level<Scalar>& own = grid.level[level];
    own.first_node = first_node;
    for (int axis = 0; axis < grid.dim; ++axis) {
      const double lower = floats[1 + axis], upper = floats[1 + grid.dim + axis];
      grid.boundary[axis] = static_cast<Boundary>(ints[5 + axis]);
      grid.lower[axis] = static_cast<Scalar>(lower);
      own.cells[axis] = static_cast<int32_t>(ints[5 + grid.dim + axis] >> level);
      own.nodes[axis] = nodes_of(grid.boundary[axis], own.cells[axis], grid.basis.rho);
      own.scale[axis] = static_cast<Scalar>(own.cells[axis] / (upper - lower));
    }
    first_node += level_nodes(grid, level);
  }
  return grid;
}

}  // namespace dinfgrid
