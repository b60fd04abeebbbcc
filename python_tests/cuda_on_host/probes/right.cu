// Kernels that are right, to test the layer that runs them.

#include <cuda_runtime.h>

namespace dinfgrid {
namespace cuda {

__global__ void sum_with_barriers(const float* numbers, int count, float* sum) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  float* partial = reinterpret_cast<float*>(shared_bytes);
  const int thread = threadIdx.x, i = blockIdx.x * blockDim.x + thread;
  partial[thread] = i < count ? numbers[i] : 0.0f;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (thread < step) partial[thread] += partial[thread + step];
    __syncthreads();
  }
  if (thread == 0) atomicAdd(sum, partial[0]);
}

__global__ void sum_with_shuffles(const float* numbers, int count, float* sum) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  float value = i < count ? numbers[i] : 0.0f;
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (threadIdx.x % 32 == 0) atomicAdd(sum, value);
}

/// numbers are counted by their integer part, 0..7.
__global__ void histogram(const float* numbers, int count, float* counts) {
  __shared__ int bins[8];
  if (threadIdx.x < 8) bins[threadIdx.x] = 0;
  __syncthreads();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) atomicAdd(&bins[__float2int_rz(numbers[i])], 1);
  __syncthreads();
  if (threadIdx.x < 8) atomicAdd(counts + threadIdx.x, static_cast<float>(bins[threadIdx.x]));
}

/// Sum and sum of squares.
__global__ void moments(const float* numbers, int count, float* sums) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float number = __ldg(numbers + i);
  atomicAdd(reinterpret_cast<float2*>(sums), make_float2(number, number * number));
}

/// Neighbours of a warp pass numbers on through shared memory, ordered by __syncwarp alone.
__global__ void rotate_in_warp(const float* numbers, int count, float* rotated) {
  __shared__ float pass[64];
  const int thread = threadIdx.x;
  pass[thread] = thread < count ? numbers[thread] : 0.0f;
  __syncwarp();
  rotated[thread] = pass[thread / 32 * 32 + (thread + 1) % 32];
}

/// What the votes and reductions of a warp give, a number each.
__global__ void votes(const float*, int, float* results) {
  constexpr unsigned all = 0xffffffffu;
  const int lane = threadIdx.x;
  float found[10];
  found[0] = static_cast<float>(__popc(__ballot_sync(all, lane % 3 == 0)));
  found[1] = static_cast<float>(__any_sync(all, lane == 7));
  found[2] = static_cast<float>(__all_sync(all, lane < 31));
  found[3] = static_cast<float>(__reduce_min_sync(all, 5 - lane));
  found[4] = static_cast<float>(__reduce_max_sync(all, unsigned(lane)));
  found[5] = static_cast<float>(__reduce_add_sync(all, lane));
  found[6] = __shfl_sync(all, static_cast<float>(lane), 9);
  const float up = __shfl_up_sync(all, static_cast<float>(lane), 3, 8);
  found[7] = __shfl_sync(all, up, 17);  // within a segment of 8: lane 1, which keeps its own
  found[8] = static_cast<float>(__popc(__match_any_sync(all, lane % 4)));
  found[9] = static_cast<float>(__syncthreads_count(lane < 11));
  for (int i = lane; i < 10; i += 32) results[i] = 0.0f;
  __syncthreads();
  if (lane == 0)
    for (int i = 0; i < 10; ++i) results[i] = found[i];
}

using Right = void (*)(const float*, int, float*);
constexpr Right right_kernels[] = {sum_with_barriers, sum_with_shuffles, histogram,
                                   moments,           rotate_in_warp,    votes};

}  // namespace cuda
}  // namespace dinfgrid

extern "C" int run_right(int kernel, int blocks, int threads, size_t shared_bytes,
                         const float* numbers, int count, float* result) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, dinfgrid::cuda::right_kernels[kernel], numbers, count, result);
}

/// Conversions of one number: float and double to int, as the hardware does it.
extern "C" void convert(double number, int* from_float, int* from_double) {
  *from_float = __float2int_rz(static_cast<float>(number));
  *from_double = __double2int_rz(number);
}
