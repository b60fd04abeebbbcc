#pragma once

#include <cuda_runtime.h>

#include <cstdint>

// Arithmetic for which the hardware has an instruction that is accurate enough: exponentials of
// small arguments and reciprocals of normal numbers, to a few units of the last place. float64 has
// no such instructions.

namespace dinfgrid {
namespace cuda {

__device__ __forceinline__ float fast_exponential(float x) { return __expf(x); }
__device__ __forceinline__ double fast_exponential(double x) { return exp(x); }

__device__ __forceinline__ float fast_inverse(float x) { return __fdividef(1.0f, x); }
__device__ __forceinline__ double fast_inverse(double x) { return 1.0 / x; }

/// As cell_of() for cells 0..last: the device's conversion to integers is defined for every number,
/// and takes negative ones and NaN to 0.
__device__ __forceinline__ int32_t cell_within(float t, int32_t last) {
  return static_cast<int32_t>(min(__float2uint_rz(t), static_cast<unsigned>(last)));
}
__device__ __forceinline__ int32_t cell_within(double t, int32_t last) {
  return t > 0 ? static_cast<int32_t>(min(__double2uint_rz(t), static_cast<unsigned>(last))) : 0;
}

}  // namespace cuda
}  // namespace dinfgrid
