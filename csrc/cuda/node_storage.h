#pragma once

#include "../grid.h"

// Where the nodes of a neighbourhood are stored along one axis. All three agree with node_index();
// they differ in what they cost, and in what they can do.

namespace dinfgrid {
namespace cuda {

/// Any grid.
class AnyStorage {
 public:
  template <typename Scalar>
  __device__ __forceinline__ AnyStorage(const Grid<Scalar>& grid, int level, int axis, int32_t cell)
      : boundary_(grid.boundary[axis]),
        cells_(grid.level[level].cells[axis]),
        rho_(grid.basis.rho),
        cell_(cell) {}

  __device__ __forceinline__ int32_t operator()(int k) const {
    return node_index(boundary_, cells_, rho_, cell_, k);
  }

 private:
  Boundary boundary_;
  int32_t cells_;
  int rho_;
  int32_t cell_;
};

/// Any boundary without divisions or branches, as long as a neighbourhood is no longer than a
/// periodic axis, so that it wraps at most once.
class ShortStorage {
 public:
  template <typename Scalar>
  __device__ __forceinline__ ShortStorage(const Grid<Scalar>& grid, int level, int axis,
                                          int32_t cell) {
    const Boundary boundary = grid.boundary[axis];
    const int32_t cells = grid.level[level].cells[axis];
    first_ = cell - (boundary == Boundary::ghost ? 0 : grid.basis.rho - 1);
    if (boundary == Boundary::periodic && first_ < 0) first_ += cells;
    highest_ = boundary == Boundary::clamp ? cells : INT32_MAX;
    wrap_ = boundary == Boundary::periodic ? cells : INT32_MAX;
  }

  __device__ __forceinline__ int32_t operator()(int k) const {
    const int32_t index = min(max(first_ + k, 0), highest_);
    return index >= wrap_ ? index - wrap_ : index;
  }

 private:
  int32_t first_, highest_, wrap_;
};

/// Ghost axes only: the nodes lie side by side.
class GhostStorage {
 public:
  template <typename Scalar>
  __device__ __forceinline__ GhostStorage(const Grid<Scalar>&, int, int, int32_t cell)
      : first_(cell) {}

  __device__ __forceinline__ int32_t operator()(int k) const { return first_ + k; }

 private:
  int32_t first_;
};

}  // namespace cuda
}  // namespace dinfgrid
