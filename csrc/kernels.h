#pragma once

#include <cstdint>
#include <functional>

#include "grid.h"

// The torch-free interface of both back ends. Pointers are raw, sizes are checked by the caller
// (torch/arguments.cpp for Python users). Scalar is float or double throughout.
//
// J = jet_size(dim, order) partial derivatives in graded lexicographic order, C channels, S global
// levels. A grid with local levels consists of several parts (see Grid), one call each: gather
// overwrites y for the global levels and adds to it for local ones, so that part 0 comes first. The
// features are those of the whole grid in every call.

namespace dinfgrid {

/// One gather, y = gather(x, features), or one scatter, features += scatter(x, y).
template <typename Scalar>
struct Call {
  Grid<Scalar> grid;
  int order;        // 0..kMaxOrder; in 4-D at most 3
  bool concat;      // global levels side by side over channels, or summed
  int64_t points;   // N
  const Scalar* x;  // [N, dim]
};

inline namespace DINFGRID_ISA {

/// Numbers of one derivative of one point in y, S C or C.
template <typename Scalar>
DINFGRID_HD int columns_of(const Call<Scalar>& call) {
  return (call.concat ? call.grid.global_levels : 1) * call.grid.channels;
}

/// The first of a level's C columns in y.
template <typename Scalar>
DINFGRID_HD int column_of(const Call<Scalar>& call, int level) {
  return call.concat && !call.grid.local ? level * call.grid.channels : 0;
}

}  // namespace DINFGRID_ISA

/// Order up to which derivatives exist in `dim` dimensions.
constexpr int max_order(int dim) { return dim == 4 ? 3 : kMaxOrder; }

/// Largest reach in `dim` dimensions.
constexpr int max_rho(int dim) { return dim == 4 ? 4 : kMaxNodes / 2; }

namespace cpu {

/// Runs body(i) for i = 0..count-1, in parallel, and returns when all are done.
using Parallel = std::function<void(int64_t count, const std::function<void(int64_t i)>& body)>;

///   features [total nodes, C]
///   y        [N, J, S C] if concat, else [N, J, C]; overwritten, or for local levels added to:
///            they refine level 0, and add to the first C columns
template <typename Scalar>
void gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, const Parallel& parallel);

///   y        as above
///   features [total nodes, C]; added to. The sum is formed in an order that does not depend on the
///            number of threads.
template <typename Scalar>
void scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features, const Parallel& parallel);

/// Name of the instruction set in use: "portable" or "avx2".
const char* instruction_set();

}  // namespace cpu

namespace cuda {

// All return a cudaError_t as int, run on `stream` (a cudaStream_t) and never synchronise.

///   As cpu::gather; all pointers on the current device.
template <typename Scalar>
int gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream);

/// As cpu::scatter, by atomic additions: the last bits depend on the order in which they happen.
template <typename Scalar>
int scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream);

/// Number of tiles of all levels together; tiles group points whose neighbourhoods overlap.
template <typename Scalar>
int64_t tile_count(const Grid<Scalar>& grid);

///   tile   [S, N], the tile of each point on each level, 0..tile_count-1
template <typename Scalar>
int tiles(const Call<Scalar>& call, int64_t* tile, void* stream);

/// As scatter, without atomics and with the same bits in every run.
///   point  [S N] points sorted (stably) by tile
///   first  [tile_count + 1] where each tile's points begin in `point`
template <typename Scalar>
int scatter_sorted(const Call<Scalar>& call, const Scalar* y, const int64_t* point,
                   const int64_t* first, Scalar* features, void* stream);

}  // namespace cuda
}  // namespace dinfgrid
