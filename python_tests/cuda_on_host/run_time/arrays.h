#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace on_host {

void begin_arrays(const void* parameters, size_t parameter_bytes);
void check_global(uintptr_t address, size_t bytes, Access access);

}  // namespace on_host
