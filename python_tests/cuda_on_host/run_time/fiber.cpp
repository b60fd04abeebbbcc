#include "fiber.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// ucontext starts a stack, setjmp and longjmp switch between stacks: unlike swapcontext they make
// no system call, which is most of the time of a shuffle.

namespace on_host {
namespace {

constexpr size_t kGuardBytes = size_t(64) * 1024;  // a multiple of any page size in use
constexpr size_t kSlotBytes = kStackBytes + kGuardBytes;

jmp_buf scheduler;

char* allocate_stacks() {
  const size_t bytes = kMaxThreads * kSlotBytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  char* begin = static_cast<char*>(memory);
  for (int slot = 0; slot < kMaxThreads; ++slot)
    mprotect(begin + slot * kSlotBytes, kGuardBytes, PROT_NONE);
  return begin;
}

char* const stacks = allocate_stacks();
Fiber fibers[kMaxThreads];

#if defined(__SANITIZE_ADDRESS__)
const void* scheduler_stack;
size_t scheduler_stack_bytes;
void* scheduler_fake_stack;

void leave_for_fiber(const char* stack) {
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, stack, kStackBytes);
}
void back_in_scheduler() {
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}
void leave_for_scheduler(void** fake_stack) {
  __sanitizer_start_switch_fiber(fake_stack, scheduler_stack, scheduler_stack_bytes);
}
void in_fiber(void* fake_stack) {
  __sanitizer_finish_switch_fiber(fake_stack, &scheduler_stack, &scheduler_stack_bytes);
}
void forget_poison(const char* stack) { __asan_unpoison_memory_region(stack, kStackBytes); }
#else
void leave_for_fiber(const char*) {}
void back_in_scheduler() {}
void leave_for_scheduler(void**) {}
void in_fiber(void*) {}
void forget_poison(const char*) {}
#endif

}  // namespace

Fiber* Fiber::at(int slot) {
  Fiber& fiber = fibers[slot];
  fiber.stack_ = stacks + slot * kSlotBytes + kGuardBytes;
  return &fiber;
}

bool Fiber::is_stack(uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(stacks) < kMaxThreads * kSlotBytes;
}

/// makecontext passes ints only, so that the pointer comes in halves.
void run_fiber(unsigned high, unsigned low) {
  const uint64_t address = static_cast<uint64_t>(high) << 32 | low;
  Fiber* fiber = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(address));
  in_fiber(nullptr);
  for (;;) {
    fiber->body_();
    fiber->finished_ = true;
    fiber->suspend();
  }
}

void Fiber::enter() {
  forget_poison(stack_);
  ucontext_t fresh;
  getcontext(&fresh);
  fresh.uc_stack.ss_sp = stack_;
  fresh.uc_stack.ss_size = kStackBytes;
  fresh.uc_link = nullptr;
  const uint64_t address = reinterpret_cast<uintptr_t>(this);
  makecontext(&fresh, reinterpret_cast<void (*)()>(run_fiber), 2,
              static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  entered_ = true;
  leave_for_fiber(stack_);
  if (_setjmp(scheduler) == 0) setcontext(&fresh);
  back_in_scheduler();
}

void Fiber::start(void (*body)()) {
  body_ = body;
  finished_ = false;
  entered_ ? resume() : enter();
}

void Fiber::resume() {
  leave_for_fiber(stack_);
  if (_setjmp(scheduler) == 0) _longjmp(context_, 1);
  back_in_scheduler();
}

void Fiber::suspend() {
  void* fake_stack = nullptr;
  leave_for_scheduler(&fake_stack);
  if (_setjmp(context_) == 0) _longjmp(scheduler, 1);
  in_fiber(fake_stack);
}

}  // namespace on_host
