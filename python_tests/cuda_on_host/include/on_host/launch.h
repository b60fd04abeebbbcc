#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "vectors.h"

// The part of the runtime API that launchers use. It describes an H100 to them.

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719,
};
using cudaError = cudaError_t;

struct CUstream_st;
using cudaStream_t = CUstream_st*;

struct cudaLaunchAttribute {};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};

enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxRegistersPerMultiprocessor = 82,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrReservedSharedMemoryPerBlock = 111,
};

cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream = nullptr);

namespace on_host {

using Kernel = void (*)();

/// Runs a whole grid. `call` calls the kernel with the parameters, in each thread.
cudaError_t launch(const cudaLaunchConfig_t& config, Kernel kernel, const void* parameters,
                   size_t parameter_bytes, void (*call)(Kernel kernel, const void* parameters));

cudaError_t set_attribute(Kernel kernel, cudaFuncAttribute attribute, int value);

}  // namespace on_host

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "more parameters than a kernel may have");
  using All = std::tuple<Parameters...>;
  const All parameters(std::forward<Arguments>(arguments)...);
  return on_host::launch(*config, reinterpret_cast<on_host::Kernel>(kernel), &parameters,
                         sizeof parameters, [](on_host::Kernel kernel, const void* parameters) {
                           std::apply(reinterpret_cast<void (*)(Parameters...)>(kernel),
                                      *static_cast<const All*>(parameters));
                         });
}

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
  return on_host::set_attribute(reinterpret_cast<on_host::Kernel>(kernel), attribute, value);
}
