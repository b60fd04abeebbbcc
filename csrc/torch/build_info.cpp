#include "build_info.h"

#include <torch/version.h>

#if DINFGRID_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

#include "../kernels.h"

namespace dinfgrid {
namespace {

pybind11::list cpu_features() {
  pybind11::list features;
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) features.append("sse4.2");
  if (__builtin_cpu_supports("avx")) features.append("avx");
  if (__builtin_cpu_supports("fma")) features.append("fma");
  if (__builtin_cpu_supports("avx2")) features.append("avx2");
  if (__builtin_cpu_supports("avx512f")) features.append("avx512f");
#elif defined(__aarch64__)
  features.append("neon");
#endif
  return features;
}

}  // namespace

pybind11::dict build_info() {
  pybind11::dict info;
  info["torch"] = TORCH_VERSION;
#if DINFGRID_WITH_CUDA
  info["cuda"] = CUDART_VERSION;
#else
  info["cuda"] = pybind11::none();
#endif
#if defined(__clang__)
  info["compiler"] = __VERSION__;
#else
  info["compiler"] = "GCC " __VERSION__;
#endif
  info["cpp_standard"] = __cplusplus;
  info["cpu_instruction_set"] = cpu::instruction_set();
  info["cpu_features"] = cpu_features();
  return info;
}

}  // namespace dinfgrid
