// Kernels that are wrong on purpose: each must be found.

#include <cuda_runtime.h>

namespace dinfgrid {
namespace cuda {

constexpr unsigned kAll = 0xffffffffu;

__global__ void race_on_shared(float* result) {
  __shared__ float one;
  one = static_cast<float>(threadIdx.x);
  __syncthreads();
  if (threadIdx.x == 0) *result = one;
}

__global__ void read_before_barrier(float* result) {
  __shared__ float all[128];
  all[threadIdx.x] = 1.0f;
  const float neighbour = all[(threadIdx.x + 127) % 128];
  if (neighbour < 0) *result = neighbour;
}

/// All read, then the first writes what others may not have read yet.
__global__ void write_after_read(float* result) {
  __shared__ float one;
  if (threadIdx.x == 0) one = 1.0f;
  __syncthreads();
  const float value = one;
  if (threadIdx.x == 127) one = value + 1;
  if (value < 0) *result = value;
}

/// A shuffle orders no memory accesses.
__global__ void shuffle_as_barrier(float* result) {
  __shared__ float all[128];
  all[threadIdx.x] = 1.0f;
  __shfl_sync(kAll, 1, 0);
  const float neighbour = all[threadIdx.x ^ 1];
  if (neighbour < 0) *result = neighbour;
}

/// __syncwarp orders one warp, not two.
__global__ void warp_barrier_between_warps(float* result) {
  __shared__ float all[128];
  all[threadIdx.x] = 1.0f;
  __syncwarp();
  const float neighbour = all[threadIdx.x ^ 32];
  if (neighbour < 0) *result = neighbour;
}

__global__ void plain_beside_atomic(float* result) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  if (threadIdx.x == 5) {
    ++count;
  } else {
    atomicAdd(&count, 1);
  }
  __syncthreads();
  if (threadIdx.x == 0) *result = static_cast<float>(count);
}

__global__ void read_uninitialised(float* result) {
  __shared__ float some[128];
  if (threadIdx.x != 77) some[threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) *result = some[77];
}

/// What a block left behind is nothing for the next.
__global__ void read_of_other_block(float* result) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  float* some = reinterpret_cast<float*>(shared_bytes);
  if (blockIdx.x == 0) some[threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) *result = some[1];
}

__global__ void barrier_in_branch(float*) {
  if (threadIdx.x != 5) __syncthreads();
}

__global__ void two_barriers(float*) {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void barrier_against_shuffle(float*) {
  if (threadIdx.x == 5) {
    __syncwarp(1u << 5 | 1u << 6);
  } else {
    __syncthreads();
  }
}

__global__ void shuffle_without_lane(float*) {
  if (threadIdx.x % 32 != 9) __shfl_sync(kAll, 1, 0);
}

__global__ void shuffle_outside_mask(float*) { __shfl_sync(0x0000ffffu, 1, 0); }

__global__ void shuffle_from_outside_mask(float*) {
  if (threadIdx.x % 32 < 16) __shfl_xor_sync(0x0000ffffu, 1, 16);
}

__global__ void beyond_dynamic_shared(float* result) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  float* some = reinterpret_cast<float*>(shared_bytes);
  some[threadIdx.x + 1] = 1.0f;  // the launch has 128
  __syncthreads();
  if (threadIdx.x == 0) *result = some[1];
}

__global__ void beyond_array(float* result) { result[4 * threadIdx.x] = 1.0f; }

__global__ void race_on_global(float* result) { *result = static_cast<float>(threadIdx.x); }

__global__ void race_of_blocks(float* result) {
  if (threadIdx.x == 0) *result += 1.0f;
}

__global__ void misaligned(float* result) {
  if (threadIdx.x == 0) atomicAdd(reinterpret_cast<float2*>(result + 1), make_float2(1, 1));
}

using Wrong = void (*)(float*);
constexpr Wrong wrong_kernels[] = {race_on_shared,
                                   read_before_barrier,
                                   write_after_read,
                                   shuffle_as_barrier,
                                   warp_barrier_between_warps,
                                   plain_beside_atomic,
                                   read_uninitialised,
                                   read_of_other_block,
                                   barrier_in_branch,
                                   two_barriers,
                                   barrier_against_shuffle,
                                   shuffle_without_lane,
                                   shuffle_outside_mask,
                                   shuffle_from_outside_mask,
                                   beyond_dynamic_shared,
                                   beyond_array,
                                   race_on_global,
                                   race_of_blocks,
                                   misaligned};

__global__ void nothing() {}

}  // namespace cuda
}  // namespace dinfgrid

extern "C" int run_wrong(int kernel, float* result) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(2);
  config.blockDim = dim3(128);
  config.dynamicSmemBytes = 512;
  return cudaLaunchKernelEx(&config, dinfgrid::cuda::wrong_kernels[kernel], result);
}

/// `limit` > 0 is asked for by cudaFuncSetAttribute first; returns the first error.
extern "C" int launch_nothing(const unsigned* grid, const unsigned* threads, size_t shared_bytes,
                              int limit) {
  if (limit > 0) {
    const cudaError_t refused = cudaFuncSetAttribute(
        dinfgrid::cuda::nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, limit);
    if (refused != cudaSuccess) return refused;
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid[0], grid[1], grid[2]);
  config.blockDim = dim3(threads[0], threads[1], threads[2]);
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, dinfgrid::cuda::nothing);
}
