#pragma once

#include "feature_access.h"
#include "launch.h"

// Scatter by atomic additions. A block takes a run of consecutive points on one level. Where the
// nodes that these points reach fit into shared memory, as they do on coarse levels and for points
// sorted by cell on any, the block adds up there and then adds each node to the features once;
// otherwise every point adds to the features itself.

namespace dinfgrid {
namespace cuda {

/// How blocks share the points of the levels.
struct ScatterPlan {
  int64_t first_block[kMaxLevels];  // blocks of the levels before
  int64_t points[kMaxLevels];       // of a block
  int capacity;                     // numbers that shared memory holds
};

/// The box of nodes that the points of a block reach, in nodes of an endless grid: node k of a cell
/// is cell + k.
template <int Dim>
struct NodeBox {
  int32_t low[Dim], high[Dim];  // both belong to it
};

/// What a block shares beside the sums.
template <int Dim>
__device__ __forceinline__ NodeBox<Dim>* shared_box(unsigned char* shared) {
  return reinterpret_cast<NodeBox<Dim>*>(shared);
}

constexpr int kBoxBytes = 32;  // room for a NodeBox in front of the sums

/// Finds the box of the points begin..end-1; all threads of the block call it.
template <int Dim, typename Scalar>
__device__ __forceinline__ void find_box(const Call<Scalar>& call, int level, int64_t begin,
                                         int64_t end, NodeBox<Dim>* box) {
  const Grid<Scalar>& grid = call.grid;
  if (threadIdx.x < Dim) {
    box->low[threadIdx.x] = INT32_MAX;
    box->high[threadIdx.x] = 0;
  }
  __syncthreads();
  DINFGRID_UNROLL
  for (int axis = 0; axis < Dim; ++axis) {
    int32_t low = INT32_MAX, high = 0;
    for (int64_t point = begin + threadIdx.x; point < end; point += kThreads) {
      const Scalar t = grid_coordinate(grid, level, axis, call.x[point * Dim + axis]);
      const int32_t cell = cell_of(t, grid.level[level].cells[axis]);
      low = min(low, cell);
      high = max(high, cell);
    }
    for (int step = kWarp / 2; step > 0; step /= 2) {
      low = min(low, __shfl_xor_sync(0xffffffffu, low, step));
      high = max(high, __shfl_xor_sync(0xffffffffu, high, step));
    }
    if (threadIdx.x % kWarp == 0) {
      atomicMin(&box->low[axis], low);
      atomicMax(&box->high[axis], high + 2 * grid.basis.rho - 1);
    }
  }
  __syncthreads();
}

/// Adds to a box of sums in shared memory.
template <int Dim, int Count, typename Scalar>
class BoxAdder {
 public:
  ///   at       the neighbourhood's first node
  ///   stride   numbers from node to node, [Dim]
  __device__ __forceinline__ BoxAdder(Scalar* at, const int32_t* stride)
      : at_(at), stride_(stride) {}

  template <int Axis>
  __device__ __forceinline__ BoxAdder inner(int i) const {
    return {at_ + i * stride_[Axis], stride_};
  }

  __device__ __forceinline__ void add(int k, const Channels<Scalar, Count>& value) const {
    Scalar* to = at_ + k * stride_[Dim - 1];
    DINFGRID_UNROLL
    for (int c = 0; c < Count; ++c) atomicAdd(to + c, value.c[c]);
  }

 private:
  Scalar* at_;
  const int32_t* stride_;
};

/// Adds one point's jets on one level, all channels.
///   y       [N, J, width]
///   adder   (neighbourhood, first channel) -> writer of expand()
template <int Dim, int Order, typename Path, int Count, typename Scalar, typename Adder>
__device__ __forceinline__ void scatter_point(const Call<Scalar>& call, int level, int64_t point,
                                              const Scalar* y, const Adder& adder) {
  constexpr int jet_count = jet_size(Dim, Order);
  const Grid<Scalar>& grid = call.grid;
  const int width = grid.channels * (call.concat ? grid.levels : 1);
  const Scalar* from = y + point * jet_count * width + (call.concat ? level * grid.channels : 0);
  Neighborhood<Scalar, Dim, Order, Path> hood;
  hood.locate(grid, level, call.x + point * Dim);
  for (int channel = 0; channel < grid.channels; channel += Count) {
    Channels<Scalar, Count> jet[jet_count];
    DINFGRID_UNROLL
    for (int a = 0; a < jet_count; ++a)
      jet[a] = load(from + static_cast<int64_t>(a) * width + channel, Channels<Scalar, Count>());
    adder(hood, channel, jet);
  }
}

/// Every point adds to the features itself.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
__device__ __forceinline__ void scatter_directly(const Call<Scalar>& call, int level, int64_t begin,
                                                 int64_t end, const Scalar* y,
                                                 Scalar* level_features) {
  for (int64_t point = begin + threadIdx.x; point < end; point += kThreads) {
    scatter_point<Dim, Order, Path, Count>(
        call, level, point, y, [&](const auto& hood, int channel, const auto* jet) {
          const NodeOffsets<Scalar, Dim, Order, Path, Count> offsets(hood, call.grid, level);
          const FeatureAdder<Dim, Count, Scalar, NodeOffsets<Scalar, Dim, Order, Path, Count>>
              adder(offsets, level_features + offsets.first() + channel);
          expand<Dim, Order>(hood.nodes, hood.rows, jet, adder);
        });
  }
}

/// Adds the sums of a box to the features, each node of it once.
template <int Dim, int Count, typename Scalar>
__device__ __forceinline__ void flush_box(const Grid<Scalar>& grid, int level,
                                          const NodeBox<Dim>& box, const Scalar* sums,
                                          Scalar* level_features) {
  int32_t size[Dim];
  int nodes = 1;
  DINFGRID_UNROLL
  for (int axis = 0; axis < Dim; ++axis) {
    size[axis] = box.high[axis] - box.low[axis] + 1;
    nodes *= size[axis];
  }
  for (int i = threadIdx.x; i < nodes; i += kThreads) {
    int rest = i;
    int64_t node = 0, stride = 1;
    DINFGRID_UNROLL
    for (int axis = Dim - 1; axis >= 0; --axis) {
      const int32_t k = rest % size[axis];
      rest /= size[axis];
      node += stride * node_index(grid.boundary[axis], grid.level[level].cells[axis],
                                  grid.basis.rho, box.low[axis], k);
      stride *= grid.level[level].nodes[axis];
    }
    for (int channel = 0; channel < grid.channels; channel += Count) {
      Channels<Scalar, Count> sum;
      bool any = false;
      DINFGRID_UNROLL
      for (int c = 0; c < Count; ++c) {
        sum.c[c] = sums[i * grid.channels + channel + c];
        any = any || sum.c[c] != Scalar(0);
      }
      if (any) add_atomically(level_features + node * grid.channels + channel, sum);
    }
  }
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, Count, Scalar>()))
    scatter_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ y,
                   Scalar* features, const __grid_constant__ ScatterPlan plan) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  const Grid<Scalar>& grid = call.grid;
  int level = 0;
  while (level + 1 < grid.levels && blockIdx.x >= plan.first_block[level + 1]) ++level;
  const int64_t begin = (blockIdx.x - plan.first_block[level]) * plan.points[level];
  const int64_t end = min(begin + plan.points[level], call.points);
  Scalar* to = features + grid.level[level].first_node * grid.channels;
  if constexpr (Path::collects) {
    NodeBox<Dim>* box = shared_box<Dim>(shared_bytes);
    Scalar* sums = reinterpret_cast<Scalar*>(shared_bytes + kBoxBytes);
    find_box<Dim>(call, level, begin, end, box);
    int32_t stride[Dim];
    int64_t numbers = grid.channels;
    DINFGRID_UNROLL
    for (int axis = Dim - 1; axis >= 0; --axis) {
      stride[axis] = static_cast<int32_t>(numbers);
      numbers *= box->high[axis] - box->low[axis] + 1;
      numbers = min(numbers, static_cast<int64_t>(INT32_MAX));  // too many in any case
    }
    if (numbers <= plan.capacity) {
      for (int i = threadIdx.x; i < numbers; i += kThreads) sums[i] = Scalar(0);
      __syncthreads();
      for (int64_t point = begin + threadIdx.x; point < end; point += kThreads) {
        scatter_point<Dim, Order, Path, Count>(
            call, level, point, y, [&](const auto& hood, int channel, const auto* jet) {
              Scalar* at = sums + channel;
              DINFGRID_UNROLL
              for (int axis = 0; axis < Dim; ++axis)
                at += (hood.cell[axis] - box->low[axis]) * stride[axis];
              const BoxAdder<Dim, Count, Scalar> adder(at, stride);
              expand<Dim, Order>(hood.nodes, hood.rows, jet, adder);
            });
      }
      __syncthreads();
      flush_box<Dim, Count>(grid, level, *box, sums, to);
      return;
    }
  }
  scatter_directly<Dim, Order, Path, Count>(call, level, begin, end, y, to);
}

/// Points of a block. On coarse levels, which fit into shared memory as a whole, so many that a
/// node gets at least 16 contributions from a block on average, as far as that leaves enough blocks
/// to be worth it.
template <typename Scalar>
ScatterPlan plan_scatter(const Call<Scalar>& call, bool collects, int64_t* blocks) {
  constexpr int64_t contributions = 16, fewest = 16, fine = 4 * kThreads;
  const int64_t most = (kSharedBytes - kBoxBytes) / sizeof(Scalar), least = most / 3;
  ScatterPlan plan{};
  plan.capacity = collects ? static_cast<int>(least) : 0;
  *blocks = 0;
  for (int level = 0; level < call.grid.levels; ++level) {
    int64_t neighborhood = 1, box = call.grid.channels;
    for (int axis = 0; axis < call.grid.dim; ++axis) {
      neighborhood *= 2 * call.grid.basis.rho;
      box *= call.grid.level[level].cells[axis] + 2 * call.grid.basis.rho - 1;
    }
    plan.points[level] = collects ? fine : kThreads;
    if (collects && box <= most) {
      if (box > plan.capacity) plan.capacity = static_cast<int>(box);
      const int64_t nodes = level_nodes(call.grid, level);
      const int64_t enough = (contributions * nodes + neighborhood - 1) / neighborhood;
      if (enough * fewest <= call.points && enough > kThreads) plan.points[level] = enough;
    }
    plan.first_block[level] = *blocks;
    *blocks += (call.points + plan.points[level] - 1) / plan.points[level];
  }
  return plan;
}

template <int Dim, int Order, typename Path, int Count, typename Scalar>
int launch_scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream) {
  int64_t blocks = 0;
  const ScatterPlan plan = plan_scatter(call, Path::collects, &blocks);
  const size_t bytes = Path::collects ? kBoxBytes + plan.capacity * sizeof(Scalar) : 0;
  return launch(scatter_kernel<Dim, Order, Path, Count, Scalar>,
                dim3(static_cast<unsigned>(blocks)), kThreads, bytes, stream, call, y, features,
                plan);
}

}  // namespace cuda
}  // namespace dinfgrid
