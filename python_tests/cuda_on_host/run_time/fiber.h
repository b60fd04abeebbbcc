#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>

// Fibers: functions with stacks of their own that take turns on one thread of the operating system.

namespace on_host {

constexpr int kMaxThreads = 1024;  // of a block
constexpr size_t kStackBytes = size_t(256) * 1024;

/// A place to run one function after another. A stack's context outlives the function, so that
/// threads that never wait cost no system call.
class Fiber {
 public:
  /// Runs `body` from the start, or goes on after its suspend(); returns at the next suspend() or
  /// at its end.
  void start(void (*body)());
  void resume();

  /// Back to whoever called start() or resume(); from within a fiber only.
  void suspend();

  bool finished() const { return finished_; }

  /// Forgets the function, wherever it stands.
  void abandon() { entered_ = false; }

  static Fiber* at(int slot);

  /// Whether an address lies on the stack of any fiber.
  static bool is_stack(uintptr_t address);

 private:
  friend void run_fiber(unsigned high, unsigned low);
  void enter();
  jmp_buf context_ = {};
  void (*body_)() = nullptr;
  char* stack_ = nullptr;
  bool entered_ = false;
  bool finished_ = true;
};

}  // namespace on_host
