#include <cstddef>
#include <cstdint>

#include "memory.h"

// The kernels are compiled with -fsanitize=thread, which calls a function before every access to
// memory; these are the functions, in place of ThreadSanitizer's own.

using on_host::Access;

namespace {

uintptr_t number(const void* address) { return reinterpret_cast<uintptr_t>(address); }

}  // namespace

#define HOOKS(bytes)                                                      \
  extern "C" void __tsan_read##bytes(const void* address) {               \
    on_host::check_aligned_access(number(address), bytes, Access::read);  \
  }                                                                       \
  extern "C" void __tsan_write##bytes(const void* address) {              \
    on_host::check_aligned_access(number(address), bytes, Access::write); \
  }                                                                       \
  extern "C" void __tsan_unaligned_read##bytes(const void* address) {     \
    on_host::check_access(number(address), bytes, Access::read);          \
  }                                                                       \
  extern "C" void __tsan_unaligned_write##bytes(const void* address) {    \
    on_host::check_access(number(address), bytes, Access::write);         \
  }

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

extern "C" {

void __tsan_read_range(const void* address, size_t bytes) {
  on_host::check_access(number(address), bytes, Access::read);
}
void __tsan_write_range(const void* address, size_t bytes) {
  on_host::check_access(number(address), bytes, Access::write);
}
// Tables of virtual functions and the call stack are of no interest.
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

}  // extern "C"
