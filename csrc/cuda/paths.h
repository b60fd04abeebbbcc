#pragma once

#include <type_traits>

#include "../basis.h"
#include "node_storage.h"

// What a kernel is compiled for. A fast path knows the number of nodes per axis, so that tables live in
// registers; the general path takes whatever else there is, with tables in local memory.

namespace dinfgrid {
namespace cuda {

/// Normalised Gaussians and B-splines with `NodeCount` nodes per axis.
template <int NodeCount, bool Ghost>
struct FastPath {
  using Nodes = FixedNodes<NodeCount>;
  using Storage = std::conditional_t<Ghost, GhostStorage, ShortStorage>;
  static constexpr bool ghost = Ghost;

  static __device__ __forceinline__ Nodes nodes(int) { return {}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    if (basis.kind == BasisKind::bspline) {
      bspline<Order, Scalar>(nodes, t, rows);
    } else if (!Ghost && clamped) {
      normalized_gaussian<Order, true>(basis, nodes, t, extent, rows);
    } else {
      normalized_gaussian<Order, false>(basis, nodes, t, extent, rows);
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
    return true;
  }
};

struct GeneralPath {
  using Nodes = AnyNodes;
  using Storage = AnyStorage;
  static constexpr bool ghost = false;

  static __device__ __forceinline__ Nodes nodes(int rho) { return {2 * rho}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    basis_rows<Order>(basis, clamped, nodes, t, extent, rows);
  }

  template <typename Scalar>
  static bool suits(const Grid<Scalar>&) {
    return true;
  }
};

}  // namespace cuda
}  // namespace dinfgrid
