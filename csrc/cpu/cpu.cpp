#include "../kernels.h"

// Chooses the instruction set, once.

namespace dinfgrid::cpu {

namespace portable {
template <typename Scalar>
void gather(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
template <typename Scalar>
void scatter(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
}  // namespace portable

#if defined(__x86_64__)
namespace avx2 {
template <typename Scalar>
void gather(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
template <typename Scalar>
void scatter(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
}  // namespace avx2
static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif

template <typename Scalar>
void gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, const Parallel& parallel) {
#if defined(__x86_64__)
  if (has_avx2) return avx2::gather(call, features, y, parallel);
#endif
  portable::gather(call, features, y, parallel);
}

template <typename Scalar>
void scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features,
             const Parallel& parallel) {
#if defined(__x86_64__)
  if (has_avx2) return avx2::scatter(call, y, features, parallel);
#endif
  portable::scatter(call, y, features, parallel);
}

const char* instruction_set() {
#if defined(__x86_64__)
  if (has_avx2) return "avx2";
#endif
  return "portable";
}

template void gather(const Call<float>&, const float*, float*, const Parallel&);
template void gather(const Call<double>&, const double*, double*, const Parallel&);
template void scatter(const Call<float>&, const float*, float*, const Parallel&);
template void scatter(const Call<double>&, const double*, double*, const Parallel&);

}  // namespace dinfgrid::cpu
