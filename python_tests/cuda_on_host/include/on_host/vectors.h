#pragma once

// CUDA's small vectors, with their alignment.

#define ON_HOST_VECTORS(Type, name, two, four)                                \
  struct alignas(two) name##2 { Type x, y; };                                 \
  struct name##3 { Type x, y, z; };                                           \
  struct alignas(four) name##4 { Type x, y, z, w; };                          \
  inline name##2 make_##name##2(Type x, Type y) { return {x, y}; }            \
  inline name##3 make_##name##3(Type x, Type y, Type z) { return {x, y, z}; } \
  inline name##4 make_##name##4(Type x, Type y, Type z, Type w) { return {x, y, z, w}; }

ON_HOST_VECTORS(int, int, 8, 16)
ON_HOST_VECTORS(unsigned, uint, 8, 16)
ON_HOST_VECTORS(float, float, 8, 16)
ON_HOST_VECTORS(double, double, 16, 16)
ON_HOST_VECTORS(long long, longlong, 16, 16)
#undef ON_HOST_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Of the thread that runs; the scheduler sets them.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;
