#pragma once

#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

// CUDA's arithmetic intrinsics. Approximate ones are exact here, which is within their promise.

namespace on_host {

template <typename To, typename From>
To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

/// Conversion as the hardware does it: out of range saturates, and NaN gives `nan`.
template <typename Integer, typename Float>
Integer saturated(Float x, Integer nan) {
  if (std::isnan(x)) return nan;
  constexpr Integer low = std::numeric_limits<Integer>::min();
  constexpr Integer high = std::numeric_limits<Integer>::max();
  // 2^bits as a number; exact, unlike `high` itself
  const Float end = std::ldexp(Float(1), 8 * sizeof(Integer) - (std::is_signed_v<Integer> ? 1 : 0));
  if (x >= end) return high;
  if (x <= static_cast<Float>(low)) return low;
  return static_cast<Integer>(x);
}

}  // namespace on_host

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long min(long a, long b) { return b < a ? b : a; }
inline long max(long a, long b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }
inline unsigned long min(unsigned long a, unsigned long b) { return b < a ? b : a; }
inline unsigned long max(unsigned long a, unsigned long b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }

// NaN becomes 0, but from double or to 64 bits the integer whose highest bit alone is set.
#define ON_HOST_CONVERSIONS(name, Integer, Float, nan)                                             \
  inline Integer __##name##_rz(Float x) { return on_host::saturated<Integer>(x, nan); }            \
  inline Integer __##name##_rd(Float x) {                                                          \
    return on_host::saturated<Integer>(std::floor(x), nan);                                        \
  }                                                                                                \
  inline Integer __##name##_ru(Float x) { return on_host::saturated<Integer>(std::ceil(x), nan); } \
  inline Integer __##name##_rn(Float x) {                                                          \
    return on_host::saturated<Integer>(std::nearbyint(x), nan);                                    \
  }
ON_HOST_CONVERSIONS(float2int, int, float, 0)
ON_HOST_CONVERSIONS(float2uint, unsigned, float, 0u)
ON_HOST_CONVERSIONS(float2ll, long long, float, LLONG_MIN)
ON_HOST_CONVERSIONS(double2int, int, double, INT_MIN)
ON_HOST_CONVERSIONS(double2uint, unsigned, double, 0x80000000u)
ON_HOST_CONVERSIONS(double2ll, long long, double, LLONG_MIN)
#undef ON_HOST_CONVERSIONS

inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline double __int2double_rn(int x) { return x; }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

inline float __int_as_float(int x) { return on_host::bits<float>(x); }
inline int __float_as_int(float x) { return on_host::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return on_host::bits<float>(x); }
inline unsigned __float_as_uint(float x) { return on_host::bits<unsigned>(x); }
inline double __longlong_as_double(long long x) { return on_host::bits<double>(x); }
inline long long __double_as_longlong(double x) { return on_host::bits<long long>(x); }

inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline double __drcp_rn(double x) { return 1 / x; }
inline float __expf(float x) { return std::exp(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (x >> bit & 1u) << (31 - bit);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline int __mul24(int a, int b) { return a * b; }
