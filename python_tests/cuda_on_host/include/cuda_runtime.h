#pragma once

// Stands in for the CUDA runtime's header where kernels are compiled by a C++ compiler and run on
// the CPU: one block at a time, each thread a fiber. nvcc includes this header by itself, and so
// does the build (-include).

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// Inlined if the compiler likes: a forced cascade of inlining takes minutes to compile.
#define __forceinline__ inline
// All fibers live on one thread of the operating system, so that its variables are the block's.
#define __shared__ thread_local

#include "on_host/arithmetic.h"
#include "on_host/atomics.h"
#include "on_host/launch.h"
#include "on_host/synchronize.h"
#include "on_host/vectors.h"
