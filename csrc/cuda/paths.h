#pragma once

#include <type_traits>

#include "../contract.h"
#include "node_storage.h"

// What a kernel is compiled for. A fast path knows the number of nodes per axis, so that tables
// live in registers; the general path takes whatever else there is, with tables in local memory.

namespace dinfgrid {
namespace cuda {

/// Normalised Gaussians and B-splines with `NodeCount` nodes per axis.
template <int NodeCount, bool Ghost>
struct FastPath {
  using Nodes = FixedNodes<NodeCount>;
  using Storage = std::conditional_t<Ghost, GhostStorage, ShortStorage>;
  using Offset = int32_t;  // of a feature in its level
  static constexpr bool ghost = Ghost;
  static constexpr bool collects = true;  // scatter collects coarse levels in shared memory

  static __device__ __forceinline__ Nodes nodes(int) { return {}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar scale, Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    if (basis.kind == BasisKind::bspline) {
      bspline<Order, Scalar>(nodes, t, rows);
      times_scale<Order>(nodes, scale, rows);
    } else if (!Ghost && clamped) {
      normalized_gaussian<Order, true>(basis, nodes, scale, t, extent, rows);
    } else {
      normalized_gaussian<Order, false>(basis, nodes, scale, t, extent, rows);
    }
  }

  /// Whether this path computes what `grid` asks for.
  template <typename Scalar>
  static bool suits(const Grid<Scalar>& grid) {
    const Basis<Scalar>& basis = grid.basis;
    if (2 * basis.rho != NodeCount || basis.kind == BasisKind::smooth_gaussian) return false;
    if (basis.kind == BasisKind::gaussian && !basis.normalize) return false;
    for (int axis = 0; axis < grid.dim; ++axis) {
      if (Ghost && grid.boundary[axis] != Boundary::ghost) return false;
      if (grid.boundary[axis] != Boundary::periodic) continue;
      for (int level = 0; level < grid.levels; ++level)
        if (grid.level[level].cells[axis] < NodeCount) return false;
    }
    for (int level = 0; level < grid.levels; ++level)
      if (level_nodes(grid, level) * grid.channels > INT32_MAX) return false;
    return true;
  }
};

/// Blocks of 128 threads that a multiprocessor shall hold, of its 64 Ki registers. Left alone, the
/// compiler trades them for loads in flight and ends at two or three blocks. What a thread cannot
/// do without are its tables, its jets at every axis, and `rest`.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
constexpr int resident_blocks() {
  constexpr int numbers = sizeof(Scalar) / sizeof(float);
  constexpr int rest = Order == 0 ? 46 : 36;  // with 36, order 0 spills on sm_120
  int jets = 0;
  for (int axes = 1; axes <= Dim; ++axes) jets += jet_size(axes, Order);
  int tables = Dim * (Order + 1) * Path::Nodes::capacity;
  constexpr int per_node = Dim < 3 ? (Path::ghost ? 0 : 7) : (Path::ghost ? 4 : 12);
  int storage = per_node * Path::Nodes::capacity;
  if (Path::Nodes::capacity == kMaxNodes) tables = storage = 0;
  const int blocks = 512 / ((tables + Count * jets) * numbers + storage + rest);
  return blocks < 1 ? 1 : (blocks > 8 ? 8 : blocks);
}

struct GeneralPath {
  using Nodes = AnyNodes;
  using Storage = AnyStorage;
  using Offset = int64_t;
  static constexpr bool ghost = false;
  static constexpr bool collects = false;

  static __device__ __forceinline__ Nodes nodes(int rho) { return {2 * rho}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar scale, Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    basis_rows<Order>(basis, clamped, nodes, t, extent, rows);
    times_scale<Order>(nodes, scale, rows);
  }

  template <typename Scalar>
  static bool suits(const Grid<Scalar>&) {
    return true;
  }
};

}  // namespace cuda
}  // namespace dinfgrid
