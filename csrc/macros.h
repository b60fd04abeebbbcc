#pragma once

// Functions that both back ends share compile for the host and, under nvcc, for the device.
#if defined(__CUDACC__)
#define DINFGRID_HD __host__ __device__ __forceinline__
#else
#define DINFGRID_HD inline __attribute__((always_inline))
#endif

// On the device loops over tables must unroll, so that tables stay in registers. nvcc's host
// compiler would warn of the pragma.
#if defined(__CUDA_ARCH__)
#define DINFGRID_PRAGMA(text) _Pragma(#text)
#define DINFGRID_UNROLL DINFGRID_PRAGMA(unroll)
#define DINFGRID_UNROLL_BY(factor) DINFGRID_PRAGMA(unroll factor)
#else
#define DINFGRID_UNROLL
#define DINFGRID_UNROLL_BY(factor)
#endif

// The CPU sources are compiled once per instruction set. Every shared inline function lives in an
// inline namespace of that name, so that the linker can never merge an AVX2 copy with a portable
// one.
#ifndef DINFGRID_ISA
#define DINFGRID_ISA portable
#endif
