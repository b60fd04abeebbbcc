#pragma once

#include <vector>

#include "../kernels.h"
#include "dispatch.h"
#include "neighborhood.h"

namespace dinfgrid {
inline namespace DINFGRID_ISA {

/// Cuts a level into tiles of cells along its first two axes, and gives them colours. A tile is at
/// least 2 rho - 1 cells wide, so that the neighbourhoods of points in two tiles of one colour
/// never share a node and both can be scattered at the same time, without locks.
template <typename Scalar>
class Tiling {
 public:
  static constexpr int kColours = 4;
  static constexpr int32_t kMostTiles = 4096;

  Tiling(const Grid<Scalar>& grid, int level) : grid_(grid), level_(level) {
    const int32_t most = axes() == 1 ? kMostTiles : 64;
    for (int axis = 0; axis < axes(); ++axis) {
      const int32_t cells = grid.level[level].cells[axis];
      const int32_t least = 2 * grid.basis.rho - 1, capped = cells / most + 1;
      width_[axis] = least > capped ? least : capped;
      int32_t tiles = cells / width_[axis];
      // Around a periodic axis the colours must alternate too.
      if (grid.level[level].boundary[axis] == Boundary::periodic && tiles % 2 == 1) --tiles;
      tiles_[axis] = tiles < 1 ? 1 : tiles;
    }
  }

  int32_t count() const { return tiles_[0] * tiles_[1]; }

  ///   x   [dim] one point
  int32_t tile_of(const Scalar* x) const {
    int32_t position[2] = {0, 0};
    for (int axis = 0; axis < axes(); ++axis) {
      const Scalar t = grid_coordinate(grid_, level_, axis, x[axis]);
      const int32_t tile = cell_of(t, grid_.level[level_].cells[axis]) / width_[axis];
      position[axis] = tile < tiles_[axis] ? tile : tiles_[axis] - 1;  // the last one is wider
    }
    return position[0] * tiles_[1] + position[1];
  }

  int colour_of(int32_t tile) const { return (tile / tiles_[1]) % 2 * 2 + (tile % tiles_[1]) % 2; }

 private:
  int axes() const { return grid_.dim < 2 ? grid_.dim : 2; }

  const Grid<Scalar>& grid_;
  int level_;
  int32_t width_[2] = {1, 1};
  int32_t tiles_[2] = {1, 1};
};

/// The points that are scattered to a level: of a global one all of the call, of a local one those
/// that it holds.
template <typename Scalar>
struct Points {
  int64_t count;
  const Scalar* x;     // [count, dim]
  const int64_t* row;  // [count] of y; null: each point's own number

  DINFGRID_HD int64_t row_of(int64_t point) const { return row == nullptr ? point : row[point]; }
};

/// The points of one level in the order of their tiles (a stable counting sort), built in parallel
/// over chunks of points.
template <typename Scalar>
class TileOrder {
 public:
  static constexpr int64_t kChunk = 8192;

  TileOrder(const Points<Scalar>& points, int dim, const Tiling<Scalar>& tiling)
      : points_(points),
        dim_(dim),
        tiling_(tiling),
        chunks_((points.count + kChunk - 1) / kChunk),
        tile_(points.count),
        point_(points.count),
        start_(chunks_ * tiling.count() + 1) {}

  int64_t chunks() const { return chunks_; }

  /// First pass: the tile of each point of a chunk, and how many points each tile gets from it.
  void count(int64_t chunk) {
    for (int64_t p = chunk * kChunk; p < end(chunk); ++p) {
      tile_[p] = tiling_.tile_of(points_.x + p * dim_);
      ++start_[slot(tile_[p], chunk)];
    }
  }

  /// Between the passes, once: where each chunk's share of each tile begins.
  void accumulate() {
    int64_t before = 0;
    for (int64_t& start : start_) {
      const int64_t here = start;
      start = before;
      before += here;
    }
  }

  /// Second pass: puts the points of a chunk in their places.
  void place(int64_t chunk) {
    std::vector<int64_t> next(tiling_.count());
    for (int32_t t = 0; t < tiling_.count(); ++t) next[t] = start_[slot(t, chunk)];
    for (int64_t p = chunk * kChunk; p < end(chunk); ++p) point_[next[tile_[p]]++] = p;
  }

  const int64_t* begin_of(int32_t tile) const { return point_.data() + start_[slot(tile, 0)]; }
  const int64_t* end_of(int32_t tile) const { return point_.data() + start_[slot(tile + 1, 0)]; }

 private:
  int64_t slot(int32_t tile, int64_t chunk) const { return tile * chunks_ + chunk; }
  int64_t end(int64_t chunk) const {
    const int64_t end = (chunk + 1) * kChunk;
    return end < points_.count ? end : points_.count;
  }

  Points<Scalar> points_;
  int dim_;
  const Tiling<Scalar>& tiling_;
  int64_t chunks_;
  std::vector<int32_t> tile_;
  std::vector<int64_t> point_, start_;
};

}  // namespace DINFGRID_ISA
}  // namespace dinfgrid
