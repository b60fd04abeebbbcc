#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../macros.h"
#include "../scalar.h"

namespace dinfgrid {
namespace cuda {

/// A few neighbouring feature channels in registers, moved by one memory instruction.
template <typename Scalar, int Count>
struct alignas(sizeof(Scalar) * Count) Channels {
  Scalar c[Count];

  Channels() = default;
  __device__ explicit Channels(Scalar number) {
    DINFGRID_UNROLL
    for (int i = 0; i < Count; ++i) c[i] = number;
  }
};

template <typename Scalar, int Count>
__device__ __forceinline__ Channels<Scalar, Count> operator+(const Channels<Scalar, Count>& a,
                                                             const Channels<Scalar, Count>& b) {
  Channels<Scalar, Count> sum;
  DINFGRID_UNROLL
  for (int i = 0; i < Count; ++i) sum.c[i] = a.c[i] + b.c[i];
  return sum;
}

template <typename Scalar, int Count>
__device__ __forceinline__ Channels<Scalar, Count> operator-(const Channels<Scalar, Count>& a,
                                                             const Channels<Scalar, Count>& b) {
  Channels<Scalar, Count> difference;
  DINFGRID_UNROLL
  for (int i = 0; i < Count; ++i) difference.c[i] = a.c[i] - b.c[i];
  return difference;
}

template <typename Scalar, int Count>
__device__ __forceinline__ Channels<Scalar, Count> operator*(Scalar weight,
                                                             const Channels<Scalar, Count>& a) {
  Channels<Scalar, Count> product;
  DINFGRID_UNROLL
  for (int i = 0; i < Count; ++i) product.c[i] = weight * a.c[i];
  return product;
}

using dinfgrid::multiply_add;

/// weight a + b, in one instruction a channel.
template <typename Scalar, int Count>
__device__ __forceinline__ Channels<Scalar, Count> multiply_add(Scalar weight,
                                                                const Channels<Scalar, Count>& a,
                                                                const Channels<Scalar, Count>& b) {
  Channels<Scalar, Count> sum;
  DINFGRID_UNROLL
  for (int i = 0; i < Count; ++i)
    sum.c[i] = multiply_add(a.c[i], weight, b.c[i]);  // immediates come second
  return sum;
}

// Loads of one node, and of two neighbouring nodes, are one instruction each; what they touch is
// aligned to all of it.

template <typename Scalar>
__device__ __forceinline__ Channels<Scalar, 1> load(const Scalar* from, Channels<Scalar, 1>) {
  return Channels<Scalar, 1>(*from);
}

__device__ __forceinline__ Channels<float, 2> load(const float* from, Channels<float, 2>) {
  const float2 pair = *reinterpret_cast<const float2*>(from);
  Channels<float, 2> value;
  value.c[0] = pair.x;
  value.c[1] = pair.y;
  return value;
}

__device__ __forceinline__ void load_two(const float* from, Channels<float, 1>* nodes) {
  const float2 both = *reinterpret_cast<const float2*>(from);
  nodes[0].c[0] = both.x;
  nodes[1].c[0] = both.y;
}

__device__ __forceinline__ void load_two(const float* from, Channels<float, 2>* nodes) {
  const float4 both = *reinterpret_cast<const float4*>(from);
  nodes[0].c[0] = both.x;
  nodes[0].c[1] = both.y;
  nodes[1].c[0] = both.z;
  nodes[1].c[1] = both.w;
}

/// Adds to memory that other threads add to as well.
template <typename Scalar, int Count>
__device__ __forceinline__ void add_atomically(Scalar* to, const Channels<Scalar, Count>& value) {
  DINFGRID_UNROLL
  for (int i = 0; i < Count; ++i) atomicAdd(to + i, value.c[i]);
}

#if __CUDA_ARCH__ >= 900
/// Both at once; to global memory only.
__device__ __forceinline__ void add_atomically(float* to, const Channels<float, 2>& value) {
  atomicAdd(reinterpret_cast<float2*>(to), make_float2(value.c[0], value.c[1]));
}
#endif

/// Whether a pointer may be read and written `Count` channels at a time.
template <int Count, typename Scalar>
__host__ __device__ __forceinline__ bool is_aligned(const Scalar* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % (Count * sizeof(Scalar)) == 0;
}

}  // namespace cuda
}  // namespace dinfgrid
