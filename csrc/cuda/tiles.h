#pragma once

#include "../grid.h"

// A tile is one cell of one level. Tiles are numbered level by level, row-major.

namespace dinfgrid {
namespace cuda {

/// Tiles of the levels before `level`.
template <typename Scalar>
__host__ __device__ __forceinline__ int64_t first_tile(const Grid<Scalar>& grid, int level) {
  int64_t first = 0;
  for (int s = 0; s < level; ++s) {
    int64_t cells = 1;
    for (int axis = 0; axis < grid.dim; ++axis) cells *= grid.level[s].cells[axis];
    first += cells;
  }
  return first;
}

/// Cells along one axis whose points reach a node: `count` of them from `first`, around the end of
/// a periodic axis if need be.
struct CellRange {
  int32_t first, count;
};

/// The cells that reach the node stored at `node`; node_index() says why.
template <typename Scalar>
__host__ __device__ __forceinline__ CellRange reaching_cells(const Grid<Scalar>& grid, int level,
                                                             int axis, int32_t node) {
  const int32_t cells = grid.level[level].cells[axis];
  const int nodes = 2 * grid.basis.rho;
  const Boundary boundary = grid.boundary[axis];
  int32_t first = node - (boundary == Boundary::ghost ? nodes - 1 : grid.basis.rho);
  if (boundary == Boundary::periodic) {
    if (nodes >= cells) return {0, cells};
    return {first < 0 ? first + cells : first, nodes};
  }
  int32_t end = first + nodes;
  first = first < 0 ? 0 : first;
  end = end > cells ? cells : end;
  return {first, end - first};
}

}  // namespace cuda
}  // namespace dinfgrid
