#pragma once

#include "feature_access.h"
#include "launch.h"

namespace dinfgrid {
namespace cuda {

/// The levels of one launch.
struct LevelList {
  int count = 0;
  int level[kMaxLevels] = {};
  int blocks[kMaxLevels] = {};  // that share the level's points, where a launch says so
};

/// Adds one point's jets on one level, all channels, to the level's features.
///   y      [N, J, width]
///   level_features   in global or shared memory
template <int Dim, int Order, typename Path, int Count, typename Scalar>
__device__ __forceinline__ void scatter_point(const Call<Scalar>& call, int level, int64_t point,
                                              const Scalar* y, Scalar* level_features) {
  constexpr int jet_count = jet_size(Dim, Order);
  const Grid<Scalar>& grid = call.grid;
  const int width = grid.channels * (call.concat ? grid.levels : 1);
  const Scalar* from = y + point * jet_count * width + (call.concat ? level * grid.channels : 0);
  Neighborhood<Scalar, Dim, Order, Path> hood;
  hood.locate(grid, level, call.x + point * Dim);
  const NodeOffsets<Scalar, Dim, Order, Path, Count> offsets(hood, grid, level);
  for (int channel = 0; channel < grid.channels; channel += Count) {
    Channels<Scalar, Count> jet[jet_count];
    DINFGRID_UNROLL
    for (int a = 0; a < jet_count; ++a)
      jet[a] = load(from + static_cast<int64_t>(a) * width + channel, Channels<Scalar, Count>());
    const FeatureAdder<Dim, Count, Scalar, decltype(offsets)> adder(
        offsets, level_features + offsets.first() + channel);
    expand<Dim, Order>(hood.nodes, hood.rows, jet, adder);
  }
}

/// A thread takes one point on one level.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, Count, Scalar>()))
    scatter_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ y,
                   Scalar* features, const LevelList levels) {
  const int level = levels.level[blockIdx.y];
  const int64_t point = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (point >= call.points) return;
  Scalar* to = features + call.grid.level[level].first_node * call.grid.channels;
  scatter_point<Dim, Order, Path, Count>(call, level, point, y, to);
}

/// Coarse levels: a block collects the features of a whole level in shared memory, over its share
/// of the points, and adds each number once.
template <int Dim, int Order, typename Path, typename Scalar>
__global__ void __launch_bounds__(kThreads, (resident_blocks<Dim, Order, Path, 1, Scalar>()))
    scatter_coarse_kernel(const __grid_constant__ Call<Scalar> call, const Scalar* __restrict__ y,
                          Scalar* features, const LevelList levels) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Scalar* sums = reinterpret_cast<Scalar*>(shared_bytes);
  const int level = levels.level[blockIdx.y];
  const unsigned blocks = levels.blocks[blockIdx.y];
  if (blockIdx.x >= blocks) return;
  const int numbers = static_cast<int>(level_nodes(call.grid, level) * call.grid.channels);
  for (int i = threadIdx.x; i < numbers; i += kThreads) sums[i] = Scalar(0);
  __syncthreads();
  const int64_t share = (call.points + blocks - 1) / blocks;
  const int64_t begin = blockIdx.x * share;
  const int64_t end = begin + share < call.points ? begin + share : call.points;
  for (int64_t point = begin + threadIdx.x; point < end; point += kThreads)
    scatter_point<Dim, Order, Path, 1>(call, level, point, y, sums);
  __syncthreads();
  Scalar* to = features + call.grid.level[level].first_node * call.grid.channels;
  for (int i = threadIdx.x; i < numbers; i += kThreads)
    if (sums[i] != Scalar(0)) atomicAdd(to + i, sums[i]);
}

/// Blocks that share a coarse level's points, such that each of its nodes gets at least 16
/// contributions per block on average; 0 where the level does not fit into shared memory or where
/// that leaves too few blocks to fill a device.
template <typename Scalar>
int coarse_blocks(const Call<Scalar>& call, int level) {
  constexpr int64_t contributions = 16, fewest = 32;
  const int64_t numbers = level_nodes(call.grid, level) * call.grid.channels;
  if (numbers * sizeof(Scalar) > kSharedBytes) return 0;
  int64_t neighborhood = call.grid.channels;
  for (int axis = 0; axis < call.grid.dim; ++axis) neighborhood *= 2 * call.grid.basis.rho;
  const int64_t by_points = blocks_for(call.points, 2 * kThreads);
  const int64_t by_nodes = call.points * neighborhood / (contributions * numbers);
  const int64_t blocks = by_points < by_nodes ? by_points : by_nodes;
  return blocks < fewest ? 0 : static_cast<int>(blocks);
}

/// Fine and coarse levels, a launch each. The general path has atomics only: its kernels take long
/// to compile, and run where speed has been given up already.
template <int Dim, int Order, typename Path, int Count, typename Scalar>
int launch_scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream) {
  LevelList fine, coarse;
  int most_blocks = 0;
  int64_t most_numbers = 0;
  for (int level = 0; level < call.grid.levels; ++level) {
    const int blocks = Path::collects ? coarse_blocks(call, level) : 0;
    LevelList& list = blocks > 0 ? coarse : fine;
    list.level[list.count] = level;
    list.blocks[list.count++] = blocks;
    if (blocks == 0) continue;
    const int64_t numbers = level_nodes(call.grid, level) * call.grid.channels;
    most_blocks = most_blocks < blocks ? blocks : most_blocks;
    most_numbers = most_numbers < numbers ? numbers : most_numbers;
  }
  int error = 0;
  if (fine.count > 0) {
    error = launch(scatter_kernel<Dim, Order, Path, Count, Scalar>,
                   dim3(blocks_for(call.points, kThreads), fine.count), 0, stream, call, y,
                   features, fine);
  }
  if constexpr (Path::collects) {
    if (error == 0 && coarse.count > 0) {
      error = launch(scatter_coarse_kernel<Dim, Order, Path, Scalar>,
                     dim3(static_cast<unsigned>(most_blocks), coarse.count),
                     most_numbers * sizeof(Scalar), stream, call, y, features, coarse);
    }
  }
  return error;
}

}  // namespace cuda
}  // namespace dinfgrid
