#pragma once

#include "../contract.h"
#include "../kernels.h"
#include "channels.h"
#include "paths.h"

namespace dinfgrid {
namespace cuda {

/// Grid coordinate (x - lower) * scale; periodic axes wrap it into [0, cells]. The fma is spelt out
/// so that every kernel rounds alike and agrees on the cell.
template <typename Scalar>
__device__ __forceinline__ Scalar grid_coordinate(const Grid<Scalar>& grid, int level, int axis,
                                                  Scalar x) {
  const Scalar t = (x - grid.lower[axis]) * grid.level[level].scale[axis];
  if (grid.boundary[axis] != Boundary::periodic) return t;
  const Scalar cells = static_cast<Scalar>(grid.level[level].cells[axis]);
  return fma(-cells, floor(t / cells), t);
}

/// The neighbourhood of one point on one level: weights, and where its nodes are stored.
template <typename Scalar, int Dim, int Order, typename Path>
struct Neighborhood {
  using Nodes = typename Path::Nodes;
  using Storage = typename Path::Storage;

  Nodes nodes;
  Rows<Scalar, Order, Nodes> rows[Dim];
  int32_t cell[Dim];

  ///   x   [Dim] any numbers; a point that is not finite gets NaN weights and nodes that exist
  __device__ __forceinline__ void locate(const Grid<Scalar>& grid, int level, const Scalar* x) {
    nodes = Path::nodes(grid.basis.rho);
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim; ++axis) {
      const Scalar coordinate = __ldg(x + axis);
      const Scalar t = grid_coordinate(grid, level, axis, coordinate);
      const int32_t cells = grid.level[level].cells[axis];
      cell[axis] = cell_of(t, cells);
      const Scalar zero_or_nan = coordinate - coordinate;
      const Scalar within = (t - static_cast<Scalar>(cell[axis])) + zero_or_nan;
      const bool clamped = grid.boundary[axis] == Boundary::clamp;
      const Extent<Scalar> extent{
          static_cast<Scalar>(clamped ? -cell[axis] : -2 * kMaxNodes),
          static_cast<Scalar>(clamped ? cells - cell[axis] : 2 * kMaxNodes)};
      const Scalar scale = grid.level[level].scale[axis];
      Path::template rows<Order>(grid.basis, clamped, nodes, scale, within, extent, rows[axis]);
    }
  }

  __device__ __forceinline__ Storage storage(const Grid<Scalar>& grid, int level, int axis) const {
    return Storage(grid, level, axis, cell[axis]);
  }
};

}  // namespace cuda
}  // namespace dinfgrid
