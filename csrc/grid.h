#pragma once

#include <cmath>
#include <cstdint>

#include "macros.h"

// Plain descriptions of a basis and of a multi-resolution grid. They cross the interface between
// torch and the kernels, and are passed to CUDA kernels by value.

namespace dinfgrid {

constexpr int kMaxDim = 4;
constexpr int kMaxLevels = 16;  // of one Grid; see there
constexpr int kMaxNodes = 24;   // nodes per axis in a neighbourhood, 2 rho
constexpr int kMaxOrder = 5;    // highest total order of a derivative; in 4-D 3

enum class BasisKind : int { gaussian = 0, smooth_gaussian = 1, bspline = 2 };
enum class Boundary : int { ghost = 0, clamp = 1, periodic = 2 };

/// One-dimensional weight function, in units of the grid spacing. The descriptions carry their
/// numbers in the kernel's own precision, so that no thread spends time on conversions.
template <typename Scalar>
struct Basis {
  BasisKind kind;
  int rho;         // reach: 2 rho nodes per axis take part; a B-spline has degree 2 rho - 1
  bool normalize;  // divide by the sum of the weights (Gaussians; B-splines sum to 1 anyway)
  Scalar epsilon;  // Gaussian: exp(-(epsilon t)^2)
  Scalar slope;    // 2 epsilon^2: per node, of a weight's logarithmic derivative
  Scalar half_slope;
  Scalar decay;  // exp(-2 epsilon^2)
  Scalar reach;  // square of |t - 1/2| up to which weights relative to a middle node are in range
};

/// A level. A global one covers the box of the grid; a local one has a box of its own, outside
/// which it contributes nothing.
template <typename Scalar>
struct Level {
  int64_t first_node;          // position of the level's first node in the feature array
  int32_t cells[kMaxDim];      // cells per axis
  int32_t nodes[kMaxDim];      // nodes per axis; the last axis is contiguous
  Scalar scale[kMaxDim];       // cells per unit of x, 1/h
  Boundary boundary[kMaxDim];  // the grid's, or ghost where a local level ends before it
  Scalar lower[kMaxDim];       // where cell 0 begins
  // A local level holds x if begin <= x < end on every axis. An end without limit is NaN, which no
  // number is beyond: that of a global level, and of a local one where its box ends with the grid.
  Scalar begin[kMaxDim];
  Scalar end[kMaxDim];
};

/// Features are one array [total nodes, channels], levels one after the other: the global ones,
/// finest first, then the local ones. A local level refines level 0 and adds to its columns.
///
/// A Grid holds up to kMaxLevels levels, all global or all local, so that it fits among the
/// parameters of a kernel and the levels of a point fit into a warp. A grid with local levels is
/// several: part 0 is its global levels, and the local ones follow in groups (see packed_grid.h).
/// The parts differ in `level`, `levels` and `local` only. A part without local levels is evaluated
/// as if there were no others.
template <typename Scalar>
struct Grid {
  int dim;
  int levels;         // of this part
  int global_levels;  // of the whole grid, which stand side by side in y
  bool local;         // the levels of this part are local ones
  int channels;
  Basis<Scalar> basis;
  Boundary boundary[kMaxDim];
  Scalar lower[kMaxDim];   // lower corner of the box, in units of x
  Scalar period[kMaxDim];  // length of the box
  Level<Scalar> level[kMaxLevels];
};

/// Nodes that an axis of `cells` cells holds.
inline int32_t nodes_of(Boundary boundary, int32_t cells, int rho) {
  if (boundary == Boundary::ghost) return cells + 2 * rho - 1;
  return boundary == Boundary::clamp ? cells + 1 : cells;
}

inline namespace DINFGRID_ISA {

/// Nodes of one level.
template <typename Scalar>
DINFGRID_HD int64_t level_nodes(const Grid<Scalar>& grid, int level) {
  int64_t nodes = 1;
  for (int axis = 0; axis < grid.dim; ++axis) nodes *= grid.level[level].nodes[axis];
  return nodes;
}

/// Nodes of all levels up to this part's last one.
template <typename Scalar>
DINFGRID_HD int64_t total_nodes(const Grid<Scalar>& grid) {
  return grid.level[grid.levels - 1].first_node + level_nodes(grid, grid.levels - 1);
}

/// Storage index, along its axis, of node k = 0..2 rho - 1 of the neighbourhood of `cell`. Node k
/// stands at grid coordinate cell + k - (rho - 1); ghost nodes shift storage by rho - 1.
DINFGRID_HD int32_t node_index(Boundary boundary, int32_t cells, int rho, int32_t cell, int k) {
  if (boundary == Boundary::ghost) return cell + k;
  const int32_t position = cell + k - (rho - 1);
  if (boundary == Boundary::clamp) return position < 0 ? 0 : (position > cells ? cells : position);
  const int32_t wrapped = position % cells;
  return wrapped < 0 ? wrapped + cells : wrapped;
}

/// Cell 0..cells-1 of grid coordinate t. Points outside belong to the edge cell; NaN to cell 0.
template <typename Scalar>
DINFGRID_HD int32_t cell_of(Scalar t, int32_t cells) {
  if (!(t > Scalar(0))) return 0;
  return t < Scalar(cells) ? static_cast<int32_t>(t) : cells - 1;
}

/// A coordinate as local levels take it: on a periodic axis brought into the box by whole periods.
template <typename Scalar>
DINFGRID_HD Scalar wrapped(const Grid<Scalar>& grid, int axis, Scalar x) {
  if (grid.boundary[axis] != Boundary::periodic) return x;
  const Scalar period = grid.period[axis];
#if defined(__CUDA_ARCH__)
  // Spelt out, so that all kernels round alike and agree on the level and the cell.
  return fma(-period, floor((x - grid.lower[axis]) / period), x);
#else
  return x - period * std::floor((x - grid.lower[axis]) / period);
#endif
}

/// Whether a wrapped coordinate is outside a local level. NaN is not.
template <typename Scalar>
DINFGRID_HD bool is_beyond(const Level<Scalar>& level, int axis, Scalar x) {
  return x < level.begin[axis] || x >= level.end[axis];
}

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
