#pragma once

// Included first in every AVX2 source: standard headers before the target changes, so that no
// inline function of theirs is compiled for AVX2 and then picked by the linker for everybody.

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#define DINFGRID_ISA avx2
#define DINFGRID_PACK_BYTES 32

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
