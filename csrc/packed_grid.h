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

/// Positions in the integers of a packed grid; boundaries and cells have one entry per axis.
/// dinfgrid_cuda/kernels/packed_grid.py writes them, python_tests/test_packed_grid.py compares.
enum PackedInt : int {
  kPackedDim,
  kPackedLevels,
  kPackedBasis,
  kPackedRho,
  kPackedNormalize,
  kPackedBoundary,  // [dim], followed by the cells of the finest level [dim]
};

/// Positions in its floating-point numbers.
enum PackedFloat : int {
  kPackedEpsilon,
  kPackedLower,  // [dim], followed by the upper corner [dim]
};

/// Names the numbers of a packed grid.
struct PackedGrid {
  const int64_t* ints;
  const double* floats;

  static constexpr int64_t int_count(int64_t dim) { return kPackedBoundary + 2 * dim; }
  static constexpr int64_t float_count(int64_t dim) { return kPackedLower + 2 * dim; }

  int64_t dim() const { return ints[kPackedDim]; }
  int64_t levels() const { return ints[kPackedLevels]; }
  int64_t basis() const { return ints[kPackedBasis]; }
  int64_t rho() const { return ints[kPackedRho]; }
  bool normalize() const { return ints[kPackedNormalize] != 0; }
  int64_t boundary(int64_t axis) const { return ints[kPackedBoundary + axis]; }
  int64_t cells(int64_t axis) const { return ints[kPackedBoundary + dim() + axis]; }
  double epsilon() const { return floats[kPackedEpsilon]; }
  double lower(int64_t axis) const { return floats[kPackedLower + axis]; }
  double upper(int64_t axis) const { return floats[kPackedLower + dim() + axis]; }
};

/// The grid of packed numbers, which the caller has checked.
template <typename Scalar>
Grid<Scalar> unpack_grid(const int64_t* ints, const double* floats, int channels) {
  const PackedGrid packed{ints, floats};
  Grid<Scalar> grid{};
  grid.dim = static_cast<int>(packed.dim());
  grid.levels = static_cast<int>(packed.levels());
  grid.channels = channels;
  grid.basis =
      make_basis<Scalar>(static_cast<BasisKind>(packed.basis()), static_cast<int>(packed.rho()),
                         packed.normalize(), packed.epsilon());
  int64_t first_node = 0;
  for (int level = 0; level < grid.levels; ++level) {
    Level<Scalar>& own = grid.level[level];
    own.first_node = first_node;
    for (int axis = 0; axis < grid.dim; ++axis) {
      const double lower = packed.lower(axis), upper = packed.upper(axis);
      grid.boundary[axis] = static_cast<Boundary>(packed.boundary(axis));
      grid.lower[axis] = static_cast<Scalar>(lower);
      own.cells[axis] = static_cast<int32_t>(packed.cells(axis) >> level);
      own.nodes[axis] = nodes_of(grid.boundary[axis], own.cells[axis], grid.basis.rho);
      own.scale[axis] = static_cast<Scalar>(own.cells[axis] / (upper - lower));
    }
    first_node += level_nodes(grid, level);
  }
  return grid;
}

}  // namespace dinfgrid
