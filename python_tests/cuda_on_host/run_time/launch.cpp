#include "on_host/launch.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "block.h"
#include "findings.h"
#include "memory.h"

namespace on_host {
namespace {

std::mutex one_at_a_time;
std::map<Kernel, size_t> shared_limits;

struct {
  Kernel kernel;
  const void* parameters;
  void (*call)(Kernel, const void*);
} launched;

void call_kernel() { launched.call(launched.kernel, launched.parameters); }

void name_kernel(Kernel kernel) {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(kernel), &info);
  const char* mangled = info.dli_sname != nullptr ? info.dli_sname : "a kernel";
  int status = 0;
  char* name = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  set_kernel_name(status == 0 ? name : mangled);
  std::free(name);
}

/// What a device of compute capability 9.0 refuses.
cudaError_t check_configuration(const cudaLaunchConfig_t& config, Kernel kernel) {
  const dim3 grid = config.gridDim, threads = config.blockDim;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaErrorInvalidConfiguration;
  if (grid.x > 0x7fffffffu || grid.y > 0xffffu || grid.z > 0xffffu)
    return cudaErrorInvalidConfiguration;
  if (threads.x == 0 || threads.y == 0 || threads.z == 0) return cudaErrorInvalidConfiguration;
  if (threads.x > 1024 || threads.y > 1024 || threads.z > 64) return cudaErrorInvalidConfiguration;
  if (threads.x * threads.y * threads.z > unsigned(kMaxThreads))
    return cudaErrorInvalidConfiguration;
  const auto raised = shared_limits.find(kernel);
  const size_t limit = raised == shared_limits.end() ? kSharedBytesGranted : raised->second;
  return config.dynamicSmemBytes > limit ? cudaErrorInvalidValue : cudaSuccess;
}

void run_grid(const cudaLaunchConfig_t& config) {
  const dim3 grid = config.gridDim;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        ++block.serial;
        spoil_shared_memory();
        run_block({x, y, z}, call_kernel);
        if (has_finding()) return;
      }
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, Kernel kernel, const void* parameters,
                   size_t parameter_bytes, void (*call)(Kernel, const void*)) {
  const std::lock_guard<std::mutex> guard(one_at_a_time);
  forget_findings();
  const cudaError_t refused = check_configuration(config, kernel);
  if (refused != cudaSuccess) return refused;
  name_kernel(kernel);
  launched = {kernel, parameters, call};
  gridDim = config.gridDim;
  blockDim = block.size = config.blockDim;
  block.threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  begin_memory(parameters, parameter_bytes, config.dynamicSmemBytes);
  run_grid(config);
  end_memory();
  return has_finding() ? cudaErrorLaunchFailure : cudaSuccess;
}

cudaError_t set_attribute(Kernel kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kSharedBytesMost) return cudaErrorInvalidValue;
  shared_limits[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

}  // namespace on_host

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  static const std::map<cudaDeviceAttr, int> h100{
      {cudaDevAttrMaxThreadsPerBlock, 1024},
      {cudaDevAttrMaxSharedMemoryPerBlock, 48 * 1024},
      {cudaDevAttrWarpSize, 32},
      {cudaDevAttrMultiProcessorCount, 132},
      {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
      {cudaDevAttrComputeCapabilityMajor, 9},
      {cudaDevAttrComputeCapabilityMinor, 0},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 228 * 1024},
      {cudaDevAttrMaxRegistersPerMultiprocessor, 64 * 1024},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, 227 * 1024},
      {cudaDevAttrReservedSharedMemoryPerBlock, 1024},
  };
  const auto found = h100.find(attribute);
  if (found == h100.end()) return cudaErrorInvalidValue;
  *value = found->second;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    default:
      return "unspecified launch failure";
  }
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
