#pragma once

#include <cmath>
#include <limits>

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
  kPackedLocal,     // number of local levels
  kPackedBoundary,  // [dim], followed by the cells of the finest level [dim]; of each local level
                    // follow start, cells and halvings, [dim] each
};

/// Positions in its floating-point numbers.
enum PackedFloat : int {
  kPackedEpsilon,
  kPackedLower,  // [dim], followed by the upper corner [dim]
};

constexpr int64_t kMostLocal = 64;          // local levels of a grid
constexpr int64_t kMostHalvings = 48;       // of the finest global cells
constexpr int64_t kMostCells = 1 << 30;     // of one axis of a level
constexpr int64_t kMostPlaces = 1ll << 52;  // cells along the whole axis, counted exactly

/// Names the numbers of a packed grid. Levels are counted through, the global ones first.
struct PackedGrid {
  const int64_t* ints;
  const double* floats;

  static constexpr int64_t int_count(int64_t dim, int64_t local) {
    return kPackedBoundary + (2 + 3 * local) * dim;
  }
  static constexpr int64_t float_count(int64_t dim) { return kPackedLower + 2 * dim; }

  int64_t dim() const { return ints[kPackedDim]; }
  int64_t levels() const { return ints[kPackedLevels]; }  // global ones
  int64_t local() const { return ints[kPackedLocal]; }
  int64_t basis() const { return ints[kPackedBasis]; }
  int64_t rho() const { return ints[kPackedRho]; }
  bool normalize() const { return ints[kPackedNormalize] != 0; }
  int64_t boundary(int64_t axis) const { return ints[kPackedBoundary + axis]; }
  int64_t cells(int64_t axis) const { return ints[kPackedBoundary + dim() + axis]; }
  double epsilon() const { return floats[kPackedEpsilon]; }
  double lower(int64_t axis) const { return floats[kPackedLower + axis]; }
  double upper(int64_t axis) const { return floats[kPackedLower + dim() + axis]; }

  // Of local level 0..local()-1: its first cell, number of cells, and halvings of a cell.
  int64_t start(int64_t own, int64_t axis) const { return of_local(own, 0, axis); }
  int64_t own_cells(int64_t own, int64_t axis) const { return of_local(own, 1, axis); }
  int64_t halvings(int64_t own, int64_t axis) const { return of_local(own, 2, axis); }
  /// Cells of its size along the whole axis.
  int64_t places(int64_t own, int64_t axis) const { return cells(axis) << halvings(own, axis); }
  bool spans(int64_t own, int64_t axis) const { return own_cells(own, axis) == places(own, axis); }

  /// Where the cell begins that is number `place` of that size.
  double corner(int64_t own, int64_t axis, int64_t place) const {
    const int64_t count = places(own, axis);
    if (place == count) return upper(axis);
    return lower(axis) +
           (upper(axis) - lower(axis)) * static_cast<double>(place) / static_cast<double>(count);
  }

  /// Number of Grids that the grid consists of: its global levels, and groups of local ones.
  int64_t parts() const { return 1 + (local() + kMaxLevels - 1) / kMaxLevels; }

 private:
  int64_t of_local(int64_t own, int64_t what, int64_t axis) const {
    return ints[kPackedBoundary + (2 + 3 * own + what) * dim() + axis];
  }
};

/// One axis of a global level.
template <typename Scalar>
void unpack_global_axis(const PackedGrid& packed, int level, int axis, Level<Scalar>& own) {
  const double lower = packed.lower(axis), upper = packed.upper(axis);
  own.boundary[axis] = static_cast<Boundary>(packed.boundary(axis));
  own.cells[axis] = static_cast<int32_t>(packed.cells(axis) >> level);
  own.scale[axis] = static_cast<Scalar>(own.cells[axis] / (upper - lower));
  own.lower[axis] = static_cast<Scalar>(lower);
  own.begin[axis] = own.end[axis] = std::numeric_limits<Scalar>::quiet_NaN();
}

/// One axis of local level 0..local()-1.
template <typename Scalar>
void unpack_local_axis(const PackedGrid& packed, int local, int axis, Level<Scalar>& own) {
  constexpr Scalar none = std::numeric_limits<Scalar>::quiet_NaN();
  const bool periodic = packed.boundary(axis) == static_cast<int>(Boundary::periodic);
  const bool spans = packed.spans(local, axis);
  const int64_t start = packed.start(local, axis), end = start + packed.own_cells(local, axis);
  const auto begins = static_cast<Scalar>(packed.corner(local, axis, start));
  const auto ends = static_cast<Scalar>(packed.corner(local, axis, end));
  const bool last = end == packed.places(local, axis);
  own.boundary[axis] = periodic && spans ? Boundary::periodic : Boundary::ghost;
  own.cells[axis] = static_cast<int32_t>(packed.own_cells(local, axis));
  own.scale[axis] = static_cast<Scalar>(static_cast<double>(packed.places(local, axis)) /
                                        (packed.upper(axis) - packed.lower(axis)));
  own.lower[axis] = begins;
  own.begin[axis] = spans || (start == 0 && !periodic) ? none : begins;
  own.end[axis] = spans || (last && !periodic) ? none : ends;
}

/// A part 0..parts()-1 of the grid of packed numbers, which the caller has checked.
template <typename Scalar>
Grid<Scalar> unpack_grid(const int64_t* ints, const double* floats, int channels, int part = 0) {
  const PackedGrid packed{ints, floats};
  Grid<Scalar> grid{};
  grid.dim = static_cast<int>(packed.dim());
  grid.global_levels = static_cast<int>(packed.levels());
  grid.local = part > 0;
  grid.channels = channels;
  grid.basis =
      make_basis<Scalar>(static_cast<BasisKind>(packed.basis()), static_cast<int>(packed.rho()),
                         packed.normalize(), packed.epsilon());
  for (int axis = 0; axis < grid.dim; ++axis) {
    grid.boundary[axis] = static_cast<Boundary>(packed.boundary(axis));
    grid.lower[axis] = static_cast<Scalar>(packed.lower(axis));
    grid.period[axis] = static_cast<Scalar>(packed.upper(axis) - packed.lower(axis));
  }
  const int all = grid.global_levels + static_cast<int>(packed.local());
  const int first = grid.local ? grid.global_levels + (part - 1) * kMaxLevels : 0;
  const int most = grid.local ? kMaxLevels : grid.global_levels;
  grid.levels = all - first < most ? all - first : most;
  int64_t first_node = 0;
  for (int level = 0; level < first + grid.levels; ++level) {
    // Levels before this part are passed through the first place, for their number of nodes.
    Level<Scalar>& own = grid.level[level < first ? 0 : level - first];
    own.first_node = first_node;
    int64_t nodes = 1;
    for (int axis = 0; axis < grid.dim; ++axis) {
      if (level < grid.global_levels)
        unpack_global_axis(packed, level, axis, own);
      else
        unpack_local_axis(packed, level - grid.global_levels, axis, own);
      own.nodes[axis] = nodes_of(own.boundary[axis], own.cells[axis], grid.basis.rho);
      nodes *= own.nodes[axis];
    }
    first_node += nodes;
  }
  return grid;
}

}  // namespace dinfgrid
