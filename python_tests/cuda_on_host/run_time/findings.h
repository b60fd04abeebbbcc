#pragma once

// What is wrong with a kernel. The first finding ends its launch.

namespace on_host {

/// Records a finding of the thread that runs, and gives up its block.
[[noreturn]] __attribute__((format(printf, 1, 2))) void find(const char* format, ...);

/// Records a finding of the block; from the scheduler.
__attribute__((format(printf, 1, 2))) void note(const char* format, ...);

bool has_finding();
void forget_findings();
void set_kernel_name(const char* name);

/// Name of a thread in messages.
const char* thread_name(int thread);

}  // namespace on_host
