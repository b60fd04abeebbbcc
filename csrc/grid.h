#pragma once

#include <cstdint>

#include "macros.h"

// Plain descriptions of a basis and of a multi-resolution grid. They cross the interface between
// torch and the kernels, and are passed to CUDA kernels by value.

namespace dinfgrid {

constexpr int kMaxDim = 4;
constexpr int kMaxLevels = 16;
constexpr int kMaxNodes = 24;  // nodes per axis in a neighbourhood, 2 rho
constexpr int kMaxOrder = 5;   // highest total order of a derivative; in 4-D 3

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

template <typename Scalar>
struct Level {
  int64_t first_node;      // position of the level's first node in the feature array
  int32_t cells[kMaxDim];  // cells per axis
  int32_t nodes[kMaxDim];  // nodes per axis; the last axis is contiguous
  Scalar scale[kMaxDim];   // cells per unit of x, 1/h
};

/// Features are one array [total nodes, channels], levels one after the other, finest first.
template <typename Scalar>
struct Grid {
  int dim;
  int levels;
  int channels;
  Basis<Scalar> basis;
  Boundary boundary[kMaxDim];
  Scalar lower[kMaxDim];  // lower corner of the box, in units of x
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

/// Nodes of all levels.
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

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
