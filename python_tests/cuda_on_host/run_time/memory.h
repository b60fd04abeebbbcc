#pragma once

#include <cstddef>
#include <cstdint>

// What a kernel may touch, and the checks of what it does.

namespace on_host {

constexpr size_t kSharedBytesGranted = size_t(48) * 1024;  // without asking
constexpr size_t kSharedBytesMost = size_t(227) * 1024;    // after cudaFuncSetAttribute

enum class Access { read, write, atomic };

/// Makes the memory of a launch known: its parameters and its dynamic shared memory.
void begin_memory(const void* parameters, size_t parameter_bytes, size_t shared_bytes);
void end_memory();

/// Fills the block's shared memory with garbage: numbers that are NaN and out of any range.
void spoil_shared_memory();

/// Checks an access of the thread that runs; nothing outside a launch.
void check_access(uintptr_t address, size_t bytes, Access access);

/// The same, and that a vector has its natural alignment.
void check_aligned_access(uintptr_t address, size_t bytes, Access access);

}  // namespace on_host
