#if defined(__x86_64__)
#include "avx2.h"
#include "gather.inl"

namespace dinfgrid::cpu::DINFGRID_ISA {
template void gather(const Call<float>&, const float*, float*, const Parallel&);
template void gather(const Call<double>&, const double*, double*, const Parallel&);
}  // namespace dinfgrid::cpu::DINFGRID_ISA
#endif
