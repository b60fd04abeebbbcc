#pragma once

#include <cmath>

#include "../basis.h"
#include "pack.h"

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Where a pack of points falls on one axis of one level: the cell of each, and the position in it.
template <typename Scalar>
struct Location {
  int32_t cell[Pack<Scalar>::lanes];
  Pack<Scalar> t;
};

/// Grid coordinate (x - lower) * scale; periodic axes wrap it into [0, cells). Local levels take
/// coordinates that are wrapped already.
template <typename Scalar>
DINFGRID_HD Scalar grid_coordinate(const Grid<Scalar>& grid, int level, int axis, Scalar x) {
  const Level<Scalar>& own = grid.level[level];
  const Scalar t = (x - own.lower[axis]) * own.scale[axis];
  if (own.boundary[axis] != Boundary::periodic) return t;
  const Scalar cells = static_cast<Scalar>(own.cells[axis]);
  return t - cells * std::floor(t / cells);
}

template <typename Scalar>
DINFGRID_HD Location<Scalar> locate(const Grid<Scalar>& grid, int level, int axis,
                                    const Scalar* x) {
  constexpr int lanes = Pack<Scalar>::lanes;
  const int32_t cells = grid.level[level].cells[axis];
  Location<Scalar> where;
  Scalar t[lanes];
  for (int l = 0; l < lanes; ++l) {
    const Scalar coordinate = grid_coordinate(grid, level, axis, x[l]);
    where.cell[l] = cell_of(coordinate, cells);
    t[l] = (coordinate - static_cast<Scalar>(where.cell[l])) + (x[l] - x[l]);  // infinity: NaN
  }
  where.t = Pack<Scalar>::load(t);
  return where;
}

/// Derivative rows per unit of x of one axis. A function of its own, since it depends on neither
/// dimension nor channels; unrolled for the usual reaches.
template <int Order, typename Scalar>
__attribute__((noinline)) void axis_rows(const Grid<Scalar>& grid, int level, int axis,
                                         const Location<Scalar>& where,
                                         Rows<Pack<Scalar>, Order, AnyNodes>& rows) {
  using P = Pack<Scalar>;
  const bool clamped = grid.level[level].boundary[axis] == Boundary::clamp;
  const int32_t cells = grid.level[level].cells[axis];
  Extent<P> extent{P(-2 * kMaxNodes), P(2 * kMaxNodes)};
  if (clamped) {
    Scalar lowest[P::lanes], highest[P::lanes];
    for (int l = 0; l < P::lanes; ++l) {
      lowest[l] = static_cast<Scalar>(-where.cell[l]);
      highest[l] = static_cast<Scalar>(cells - where.cell[l]);
    }
    extent = {P::load(lowest), P::load(highest)};
  }
  const auto fill = [&](auto nodes) {
    basis_rows<Order>(grid.basis, clamped, nodes, where.t, extent, rows);
    times_scale<Order>(nodes, grid.level[level].scale[axis], rows);
  };
  if (grid.basis.rho == 2) return fill(FixedNodes<4, kMaxNodes>{});
  if (grid.basis.rho == 3) return fill(FixedNodes<6, kMaxNodes>{});
  fill(AnyNodes{2 * grid.basis.rho});
}

/// The neighbourhoods of a pack of points on one level: weights, and where their nodes are stored.
template <typename Scalar, int Dim, int Order>
struct Neighborhood {
  using P = Pack<Scalar>;

  AnyNodes nodes;
  Rows<P, Order, AnyNodes> rows[Dim];
  int64_t offset[Dim][kMaxNodes][P::lanes];  // of each node along each axis, in features
  bool contiguous;  // nodes of the last axis lie side by side, in all lanes

  /// Offset of the last node of the neighbourhoods, the largest of all lanes.
  DINFGRID_HD int64_t last_offset() const {
    int64_t largest = 0;
    for (int l = 0; l < P::lanes; ++l) {
      int64_t sum = 0;
      for (int axis = 0; axis < Dim; ++axis) sum += offset[axis][nodes - 1][l];
      if (sum > largest) largest = sum;
    }
    return largest;
  }

  ///   x   [Dim][lanes]
  DINFGRID_HD void locate_points(const Grid<Scalar>& grid, int level,
                                 const Scalar (&x)[Dim][P::lanes]) {
    nodes = AnyNodes{2 * grid.basis.rho};
    int64_t stride = grid.channels;
    for (int axis = Dim - 1; axis >= 0; --axis) {
      const Location<Scalar> where = locate(grid, level, axis, x[axis]);
      axis_rows<Order>(grid, level, axis, where, rows[axis]);
      const Boundary boundary = grid.level[level].boundary[axis];
      const int32_t cells = grid.level[level].cells[axis];
      const int rho = grid.basis.rho;
      if (boundary == Boundary::ghost) {
        for (int k = 0; k < nodes; ++k)
          for (int l = 0; l < P::lanes; ++l) offset[axis][k][l] = (where.cell[l] + k) * stride;
      } else {
        for (int k = 0; k < nodes; ++k)
          for (int l = 0; l < P::lanes; ++l)
            offset[axis][k][l] = node_index(boundary, cells, rho, where.cell[l], k) * stride;
      }
      if (axis == Dim - 1) {
        contiguous = true;
        for (int l = 0; l < P::lanes; ++l) {
          contiguous &= boundary == Boundary::ghost ||
                        (where.cell[l] >= rho - 1 && where.cell[l] + rho < cells);
        }
      }
      stride *= grid.level[level].nodes[axis];
    }
  }
};

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
