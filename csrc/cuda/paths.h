#pragma once

#include <type_traits>

#include "../contract.h"
#include "node_storage.h"
#include "window.h"

// What a kernel is compiled for. A fast path knows the number of nodes per axis, so that tables
// live in registers; the general path takes whatever else there is, with tables in local memory.

namespace dinfgrid {
namespace cuda {

template <int Dim, int Order, typename Path, int Count, typename Scalar>
class TablePoint;

/// Highest order of the windows of clamp grids: near an end, moments of higher order about the
/// middle of the window would cancel.
constexpr int kClampOrder = 2;

/// Whether offsets of features in their level fit into 32 bits.
template <typename Scalar>
bool has_short_offsets(const Grid<Scalar>& grid) {
  for (int level = 0; level < grid.levels; ++level)
    if (level_nodes(grid, level) * grid.channels > INT32_MAX) return false;
  return true;
}

/// Gather of normalised Gaussians with `NodeCount` nodes per axis on ghost grids, or with `Clamp`
/// on clamp grids and a mixture of both.
template <int NodeCount, bool Clamp>
struct WindowPath {
  static constexpr bool all_channels = true;  // Count is the number of channels

  /// Windows are unrolled as a whole, which larger ones would make too long for the compiler and
  /// for the instruction cache. (In 3-D values alone of 216 nodes spill on sm_120.)
  template <int Dim, int Order>
  static constexpr bool exists() {
    return Dim < 3 || (Order <= 2 && (NodeCount <= 4 || (NodeCount == 6 && Order > 0)));
  }

  /// Times that a gathering warp takes points: what depends on the level only is shared between
  /// them, as far as the code, which repeats, stays small.
  template <int Dim, int Order>
  static __host__ __device__ constexpr int passes() {
    return Dim <= 2 && Order <= 2 && NodeCount <= 6 && !Clamp ? 2 : 1;
  }

  template <int Dim, int Order, int Count, typename Scalar>
  using Point = Window<Dim, Order, NodeCount, Count, Clamp, Scalar>;

  /// Blocks of 128 threads that a multiprocessor shall hold: registers of a thread are its weights,
  /// a row of features, the jets at every axis, and `rest`. No more than `most`, beyond which
  /// compilers for one architecture or another spill: below order 2 they have more loads in flight,
  /// and clamping has weights of its own for both middle nodes.
  template <int Dim, int Order, int Count, typename Scalar>
  static __host__ __device__ constexpr int resident_blocks() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 890
    constexpr int best = 7;
#else
    constexpr int best = 8;
#endif
    constexpr int rest = Dim == 3 ? (Clamp ? 72 : 56) : 16;
    constexpr int most = NodeCount < 6                              ? (Clamp ? 7 : 8)
                         : Clamp || NodeCount == 8                  ? 5
                         : Dim == 2 && Order == 2 && NodeCount == 6 ? best
                                                                    : 6;
    int numbers = Dim * NodeCount + Count * NodeCount;
    for (int axes = 1; axes <= Dim; ++axes)
      numbers += (axes < Dim ? 2 : 1) * Count * jet_size(axes, Order);
    const int blocks = 512 / (numbers * static_cast<int>(sizeof(Scalar) / sizeof(float)) + rest);
    return blocks < 2 ? 2 : (blocks > most ? most : blocks);
  }

  /// Windows must fit into every level, and rows of the levels alternate between even and odd nodes
  /// (see window.h).
  template <typename Scalar>
  static bool suits(const Grid<Scalar>& grid, int order) {
    const Basis<Scalar>& basis = grid.basis;
    if (2 * basis.rho != NodeCount || basis.kind != BasisKind::gaussian || !basis.normalize)
      return false;
    const double farthest =
        Clamp ? basis.rho : 0.51;  // from the middle of the cell, inside the box
    if (!(basis.reach > grid.dim * farthest * farthest)) return false;
    for (int axis = 0; axis < grid.dim; ++axis) {
      if (grid.boundary[axis] == Boundary::periodic) return false;
      if (grid.boundary[axis] == Boundary::clamp && (!Clamp || order > kClampOrder)) return false;
      for (int level = 0; level < grid.levels; ++level) {
        const int32_t nodes = grid.level[level].nodes[axis];
        if (nodes < NodeCount || (axis > 0 && nodes % 2 == 0)) return false;
      }
    }
    return has_short_offsets(grid);
  }
};

/// Blocks of 128 threads that a multiprocessor shall hold, of its 64 Ki registers. Left alone, the
/// compiler trades them for loads in flight and ends at two or three blocks. What a thread cannot
/// do without are its tables, its jets at every axis, and `rest`.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
__host__ __device__ constexpr int table_blocks() {
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

/// Normalised Gaussians and B-splines with `NodeCount` nodes per axis, on any grid; or B-splines on
/// ghost grids.
template <int NodeCount, bool Ghost>
struct FastPath {
  using Nodes = FixedNodes<NodeCount>;
  using Storage = std::conditional_t<Ghost, GhostStorage, ShortStorage>;
  using Offset = int32_t;  // of a feature in its level
  static constexpr bool ghost = Ghost;
  static constexpr bool all_channels = Ghost;
  static constexpr bool collects = true;  // scatter adds up in shared memory

  template <int Dim, int Order>
  static constexpr bool exists() {
    return true;
  }

  template <int Dim, int Order>
  static __host__ __device__ constexpr int passes() {
    return 1;
  }

  template <int Dim, int Order, int Count, typename Scalar>
  using Point = TablePoint<Dim, Order, FastPath, Count, Scalar>;

  static __device__ __forceinline__ Nodes nodes(int) { return {}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar scale, Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    if (Ghost || basis.kind == BasisKind::bspline) {
      bspline<Order, Scalar>(nodes, t, rows);
      times_scale<Order>(nodes, scale, rows);
    } else if (clamped) {
      normalized_gaussian<Order, true>(basis, nodes, scale, t, extent, rows);
    } else {
      normalized_gaussian<Order, false>(basis, nodes, scale, t, extent, rows);
    }
  }

  template <int Dim, int Order, int Count, typename Scalar>
  static __host__ __device__ constexpr int resident_blocks() {
    return table_blocks<Dim, Order, FastPath, Count, Scalar>();
  }

  /// Whether this path computes what `grid` asks for.
  template <typename Scalar>
  static bool suits(const Grid<Scalar>& grid, int) {
    const Basis<Scalar>& basis = grid.basis;
    if (2 * basis.rho != NodeCount || basis.kind == BasisKind::smooth_gaussian) return false;
    if (basis.kind == BasisKind::gaussian && (Ghost || !basis.normalize)) return false;
    for (int axis = 0; axis < grid.dim; ++axis) {
      if (Ghost && grid.boundary[axis] != Boundary::ghost) return false;
      if (grid.boundary[axis] != Boundary::periodic) continue;
      for (int level = 0; level < grid.levels; ++level)
        if (grid.level[level].cells[axis] < NodeCount) return false;
    }
    return has_short_offsets(grid);
  }
};

template <int NodeCount>
using GhostWindowPath = WindowPath<NodeCount, false>;
template <int NodeCount>
using ClampWindowPath = WindowPath<NodeCount, true>;
template <int NodeCount>
using GhostPath = FastPath<NodeCount, true>;
template <int NodeCount>
using ShortPath = FastPath<NodeCount, false>;

struct GeneralPath {
  using Nodes = AnyNodes;
  using Storage = AnyStorage;
  using Offset = int64_t;
  static constexpr bool ghost = false;
  static constexpr bool all_channels = false;
  static constexpr bool collects = false;  // speed has been given up already

  template <int Dim, int Order>
  static __host__ __device__ constexpr int passes() {
    return 1;
  }

  template <int Dim, int Order, int Count, typename Scalar>
  using Point = TablePoint<Dim, Order, GeneralPath, Count, Scalar>;

  static __device__ __forceinline__ Nodes nodes(int rho) { return {2 * rho}; }

  template <int Order, typename Scalar>
  static __device__ __forceinline__ void rows(const Basis<Scalar>& basis, bool clamped, Nodes nodes,
                                              Scalar scale, Scalar t, Extent<Scalar> extent,
                                              Rows<Scalar, Order, Nodes>& rows) {
    basis_rows<Order>(basis, clamped, nodes, t, extent, rows);
    times_scale<Order>(nodes, scale, rows);
  }

  template <int Dim, int Order, int Count, typename Scalar>
  static __host__ __device__ constexpr int resident_blocks() {
    return table_blocks<Dim, Order, GeneralPath, Count, Scalar>();
  }

  template <typename Scalar>
  static bool suits(const Grid<Scalar>&, int) {
    return true;
  }
};

template <int Dim, int Order, typename Path, int Count, typename Scalar>
__host__ __device__ constexpr int resident_blocks() {
  return Path::template resident_blocks<Dim, Order, Count, Scalar>();
}

}  // namespace cuda
}  // namespace dinfgrid
