#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

namespace dinfgrid {
namespace cuda {

constexpr int kWarp = 32;
// Warps of a block; small blocks let a tail of few points spread over the device.
constexpr int kWarps = 4;
constexpr int kThreads = kWarp * kWarps;

/// Shared memory that every device grants a block without being asked for more.
constexpr size_t kSharedBytes = 48 * 1024;

/// Launches on `stream` (a cudaStream_t) and returns the cudaError_t of the launch.
template <typename... Parameters, typename... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, void* stream,
           Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

inline unsigned blocks_for(int64_t items, int64_t items_per_block) {
  return static_cast<unsigned>((items + items_per_block - 1) / items_per_block);
}

}  // namespace cuda
}  // namespace dinfgrid
