#pragma once

#include "launch.h"
#include "neighborhood.h"
#include "tiles.h"

// Scatter from the nodes' side: a few lanes own a node, visit all points that reach it in the order
// of the sorted list, and add up. Nothing is shared between owners, so there are no atomics, and
// the order of every sum is fixed by the points and the grid alone.

namespace dinfgrid {
namespace cuda {

/// Which threads own which nodes.
struct Ownership {
  int lanes[kMaxLevels];            // threads that share a node: a power of two up to a warp
  int64_t first_block[kMaxLevels];  // blocks of the levels before
};

/// Derivative weights of one node, [Dim] axes.
template <typename Scalar, int Dim, int Order>
using NodeWeights = Rows<Scalar, Order, FixedNodes<1>>[Dim];

/// One thread's part of one node's sum.
template <int Dim, int Order, typename Path, typename Scalar>
class NodeSum {
 public:
  static constexpr int count = 4;  // channels at a time
  using Value = Channels<Scalar, count>;

  ///   node      storage index of the node, [Dim]
  ///   channel   first channel that is added up
  ///   lane      the thread among the `lanes` that share the node
  __device__ __forceinline__ NodeSum(const Call<Scalar>& call, const Scalar* y,
                                     const int64_t* sorted, const int64_t* first, int level,
                                     const int32_t (&node)[Dim], int lane, int lanes)
      : call_(call),
        y_(y),
        sorted_(sorted),
        first_(first + first_tile(call.grid, level)),
        level_(level),
        node_(node),
        lane_(lane),
        lanes_(lanes) {}

  __device__ __forceinline__ Value operator()(int channel) {
    sum_ = Value(Scalar(0));
    visit<0>(channel, 0);
    return sum_;
  }

 private:
  /// Visits the cells that reach the node along Axis and the axes after it.
  ///   row   the cell's position along the axes before, row-major
  template <int Axis>
  __device__ __forceinline__ void visit(int channel, int64_t row) {
    const int32_t cells = call_.grid.level[level_].cells[Axis];
    const CellRange range = reaching_cells(call_.grid, level_, Axis, node_[Axis]);
    if constexpr (Axis < Dim - 1) {
      for (int i = 0; i < range.count; ++i) {
        const int32_t cell = range.first + i;
        visit<Axis + 1>(channel, row * cells + (cell < cells ? cell : cell - cells));
      }
    } else {
      // Cells of the last axis, and so their points, follow one another up to the axis' end.
      const int32_t end = range.first + range.count;
      for (int part = 0; part < 2; ++part) {
        const int32_t from = part == 0 ? range.first : 0;
        const int32_t to = part == 0 ? min(end, cells) : max(end - cells, 0);
        const int64_t last = first_[row * cells + to];
        for (int64_t i = first_[row * cells + from] + lane_; i < last; i += lanes_)
          add(sorted_[i], channel);
        if (end <= cells) break;
      }
    }
  }

  __device__ __forceinline__ void add(int64_t point, int channel) {
    constexpr int jet_count = jet_size(Dim, Order);
    const Grid<Scalar>& grid = call_.grid;
    NodeWeights<Scalar, Dim, Order> weights;
    weigh(point, weights);
    const int width = grid.channels * (call_.concat ? grid.levels : 1);
    const int column = (call_.concat ? level_ * grid.channels : 0) + channel;
    const Scalar* from = y_ + point * jet_count * width + column;
    Value jet[jet_count];
    DINFGRID_UNROLL
    for (int a = 0; a < jet_count; ++a) DINFGRID_UNROLL
    for (int c = 0; c < count; ++c)
      jet[a].c[c] =
          channel + c < grid.channels ? from[static_cast<int64_t>(a) * width + c] : Scalar(0);
    expand<Dim, Order>(FixedNodes<1>{}, weights, jet, Adder{&sum_});
  }

  /// The weights of the node for one point. A node that clamping or wrapping brings into a
  /// neighbourhood several times gets the sum.
  __device__ __forceinline__ void weigh(int64_t point,
                                        NodeWeights<Scalar, Dim, Order>& weights) const {
    Neighborhood<Scalar, Dim, Order, Path> hood;
    hood.locate(call_.grid, level_, call_.x + point * Dim);
    DINFGRID_UNROLL
    for (int axis = 0; axis < Dim; ++axis) {
      const auto storage = hood.storage(call_.grid, level_, axis);
      DINFGRID_UNROLL
      for (int m = 0; m <= Order; ++m) weights[axis][m][0] = Scalar(0);
      DINFGRID_UNROLL
      for (int k = 0; k < hood.nodes; ++k) {
        const bool is_own = storage(k) == node_[axis];
        DINFGRID_UNROLL
        for (int m = 0; m <= Order; ++m)
          weights[axis][m][0] += is_own ? hood.rows[axis][m][k] : Scalar(0);
      }
    }
  }

  struct Adder {
    Value* sum;
    template <int Axis>
    __device__ __forceinline__ Adder inner(int) const {
      return *this;
    }
    __device__ __forceinline__ void add(int, const Value& value) const { *sum = *sum + value; }
  };

  const Call<Scalar>& call_;
  const Scalar* y_;
  const int64_t* sorted_;
  const int64_t* first_;  // of this level's tiles
  int level_;
  const int32_t (&node_)[Dim];
  int lane_, lanes_;
  Value sum_;
};

template <int Dim, int Order, typename Path, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, 4, Scalar>()))
    scatter_sorted_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ y,
                          const int64_t* __restrict__ sorted, const int64_t* __restrict__ first,
                          Scalar* features, const __grid_constant__ Ownership ownership) {
  const Grid<Scalar>& grid = call.grid;
  int level = 0;
  while (level + 1 < grid.levels && blockIdx.x >= ownership.first_block[level + 1]) ++level;
  const int lanes = ownership.lanes[level];
  const int64_t thread = (blockIdx.x - ownership.first_block[level]) * kThreads + threadIdx.x;
  const int64_t own = thread / lanes;
  int32_t node[Dim];
  int64_t rest = own;
  DINFGRID_UNROLL
  for (int axis = Dim - 1; axis >= 0; --axis) {
    node[axis] = static_cast<int32_t>(rest % grid.level[level].nodes[axis]);
    rest /= grid.level[level].nodes[axis];
  }
  const bool exists = rest == 0;  // the last block of a level has threads to spare
  const int lane = threadIdx.x % lanes;
  NodeSum<Dim, Order, Path, Scalar> sum_of(call, y, sorted, first, level, node, lane, lanes);
  Scalar* to = features + (grid.level[level].first_node + own) * grid.channels;
  for (int channel = 0; channel < grid.channels; channel += sum_of.count) {
    auto sum = exists ? sum_of(channel) : typename decltype(sum_of)::Value(Scalar(0));
    DINFGRID_UNROLL
    for (int c = 0; c < sum_of.count; ++c) {
      for (int step = lanes / 2; step > 0; step /= 2)
        sum.c[c] += __shfl_down_sync(0xffffffffu, sum.c[c], step);
      if (exists && lane == 0 && channel + c < grid.channels) to[channel + c] += sum.c[c];
    }
  }
}

/// Enough lanes for the points that an average row of reaching cells holds.
template <typename Scalar>
Ownership share_nodes(const Call<Scalar>& call, int64_t* blocks) {
  const Grid<Scalar>& grid = call.grid;
  Ownership ownership{};
  *blocks = 0;
  for (int level = 0; level < grid.levels; ++level) {
    int64_t nodes = 1;
    for (int axis = 0; axis < grid.dim; ++axis) nodes *= grid.level[level].nodes[axis];
    const int64_t cells = first_tile(grid, level + 1) - first_tile(grid, level);
    int lanes = 1;
    while (lanes < kWarp && lanes * cells < 2 * grid.basis.rho * call.points) lanes *= 2;
    ownership.lanes[level] = lanes;
    ownership.first_block[level] = *blocks;
    *blocks += blocks_for(nodes, kThreads / lanes);
  }
  return ownership;
}

template <int Dim, int Order, typename Path, typename Scalar>
int launch_scatter_sorted(const Call<Scalar>& call, const Scalar* y, const int64_t* point,
                          const int64_t* first, Scalar* features, void* stream) {
  int64_t blocks = 0;
  const Ownership ownership = share_nodes(call, &blocks);
  return launch(scatter_sorted_kernel<Dim, Order, Path, Scalar>,
                dim3(static_cast<unsigned>(blocks)), kThreads, 0, stream, call, y, point, first,
                features, ownership);
}

}  // namespace cuda
}  // namespace dinfgrid
