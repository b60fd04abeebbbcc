#pragma once

#include <cstddef>

#include "vectors.h"

// Fibers are never interrupted, so that plain code is atomic; what is left is to tell the checks.

namespace on_host {

/// Checks an atomic access to `bytes` bytes of the running thread.
void check_atomic(const void* address, size_t bytes);

/// Checks a read through the read-only path: natural alignment, and global memory.
void check_constant_read(const void* address, size_t bytes);

// Not instrumented: check_atomic() has seen the access already.
template <typename T, typename F>
__attribute__((no_sanitize("thread"))) T atomically(T* address, F&& update) {
  check_atomic(address, sizeof(T));
  const T old = *address;
  *address = update(old);
  return old;
}

}  // namespace on_host

#define ON_HOST_ATOMICS(T)                                                              \
  inline T atomicAdd(T* to, T value) {                                                  \
    return on_host::atomically(to, [=](T old) { return static_cast<T>(old + value); }); \
  }                                                                                     \
  inline T atomicExch(T* to, T value) {                                                 \
    return on_host::atomically(to, [=](T) { return value; });                           \
  }
#define ON_HOST_INTEGER_ATOMICS(T)                                                        \
  ON_HOST_ATOMICS(T)                                                                      \
  inline T atomicMin(T* to, T value) {                                                    \
    return on_host::atomically(to, [=](T old) { return value < old ? value : old; });     \
  }                                                                                       \
  inline T atomicMax(T* to, T value) {                                                    \
    return on_host::atomically(to, [=](T old) { return old < value ? value : old; });     \
  }                                                                                       \
  inline T atomicAnd(T* to, T value) {                                                    \
    return on_host::atomically(to, [=](T old) { return old & value; });                   \
  }                                                                                       \
  inline T atomicOr(T* to, T value) {                                                     \
    return on_host::atomically(to, [=](T old) { return old | value; });                   \
  }                                                                                       \
  inline T atomicCAS(T* to, T expected, T value) {                                        \
    return on_host::atomically(to, [=](T old) { return old == expected ? value : old; }); \
  }

ON_HOST_INTEGER_ATOMICS(int)
ON_HOST_INTEGER_ATOMICS(unsigned)
ON_HOST_INTEGER_ATOMICS(unsigned long long)
ON_HOST_ATOMICS(float)
ON_HOST_ATOMICS(double)
#undef ON_HOST_INTEGER_ATOMICS
#undef ON_HOST_ATOMICS

inline float2 atomicAdd(float2* to, float2 value) {
  return on_host::atomically(to,
                             [=](float2 old) { return float2{old.x + value.x, old.y + value.y}; });
}
inline float4 atomicAdd(float4* to, float4 value) {
  return on_host::atomically(to, [=](float4 old) {
    return float4{old.x + value.x, old.y + value.y, old.z + value.z, old.w + value.w};
  });
}

template <typename T>
T __ldg(const T* from) {
  on_host::check_constant_read(from, sizeof(T));
  return *from;
}
template <typename T>
T __ldcs(const T* from) {
  return *from;
}
template <typename T>
T __ldcg(const T* from) {
  return *from;
}
template <typename T>
void __stcs(T* to, T value) {
  *to = value;
}

// Stronger than needed: fibers see each other's writes at once.
inline void __threadfence() {}
inline void __threadfence_block() {}
