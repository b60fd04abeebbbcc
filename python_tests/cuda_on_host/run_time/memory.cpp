#include "memory.h"

#include "arrays.h"
#include "fiber.h"
#include "findings.h"
#include "on_host/atomics.h"
#include "shared_memory.h"

namespace on_host {
namespace {

bool inside = false;  // a launch

}  // namespace

void begin_memory(const void* parameters, size_t parameter_bytes, size_t shared_bytes) {
  begin_arrays(parameters, parameter_bytes);
  begin_shared_memory(shared_bytes);
  inside = true;
}

void end_memory() {
  inside = false;
  end_shared_memory();
}

void check_access(uintptr_t address, size_t bytes, Access access) {
  if (!inside || Fiber::is_stack(address)) return;
  is_shared(address) ? check_shared(address, bytes, access) : check_global(address, bytes, access);
}

void check_aligned_access(uintptr_t address, size_t bytes, Access access) {
  if (inside && address % bytes != 0)
    find("touches %zu bytes at address %p, which is not aligned to that", bytes,
         reinterpret_cast<void*>(address));
  check_access(address, bytes, access);
}

// Without instrumentation of plain accesses the records would be incomplete, and AddressSanitizer
// sees atomics too.
#if defined(__SANITIZE_ADDRESS__)
void check_atomic(const void*, size_t) {}
void check_constant_read(const void*, size_t) {}
#else
void check_atomic(const void* address, size_t bytes) {
  check_aligned_access(reinterpret_cast<uintptr_t>(address), bytes, Access::atomic);
}

void check_constant_read(const void* address, size_t bytes) {
  const uintptr_t from = reinterpret_cast<uintptr_t>(address);
  if (inside && (is_shared(from) || Fiber::is_stack(from)))
    find("reads %zu bytes by __ldg, which are not in global memory", bytes);
  check_aligned_access(from, bytes, Access::read);
}
#endif

}  // namespace on_host
