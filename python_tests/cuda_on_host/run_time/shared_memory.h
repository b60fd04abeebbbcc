#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace on_host {

/// Finds the calling thread's copy of the block's shared memory.
void begin_shared_memory(size_t dynamic_bytes);
void end_shared_memory();
bool is_shared(uintptr_t address);
void check_shared(uintptr_t address, size_t bytes, Access access);

}  // namespace on_host
