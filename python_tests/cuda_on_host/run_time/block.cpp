#include "block.h"

#include "findings.h"
#include "meetings.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace on_host {

Block block;

namespace {

int free_slots[kMaxThreads];
int free_count = 0;

void place(int thread) {
  const unsigned x = block.size.x, y = block.size.y, number = thread;
  threadIdx = {number % x, number / x % y, number / (x * y)};
  block.current = thread;
}

void prepare() {
  for (int i = 0; i < block.threads; ++i) {
    Thread& thread = block.thread[i];
    thread.state = Thread::State::fresh;
    thread.fiber = nullptr;
    thread.meeting = Meeting::none;
    thread.clock = 1;
    for (uint32_t& clock : thread.seen) clock = 0;
  }
  block.epoch = 0;
  block.arrived = block.agreeing = 0;
  free_count = 0;
  for (int slot = kMaxThreads - 1; slot >= 0; --slot) free_slots[free_count++] = slot;
}

/// Lets a thread go on until it waits or ends. A thread that ends leaves its stack to the next.
void advance(int i, void (*body)()) {
  Thread& thread = block.thread[i];
  place(i);
  if (thread.state == Thread::State::fresh) {
    thread.slot = free_slots[--free_count];
    thread.fiber = Fiber::at(thread.slot);
    thread.state = Thread::State::runnable;
    thread.fiber->start(body);
  } else {
    thread.fiber->resume();
  }
  if (has_finding() || !thread.fiber->finished()) return;
  thread.state = Thread::State::exited;
  free_slots[free_count++] = thread.slot;
}

bool may_run(const Thread& thread) {
  return thread.state == Thread::State::fresh || thread.state == Thread::State::runnable;
}

void abandon_all() {
  for (int slot = 0; slot < kMaxThreads; ++slot) Fiber::at(slot)->abandon();
}

}  // namespace

void give_up() {
  running().fiber->suspend();
  __builtin_unreachable();
}

void run_block(uint3 index, void (*body)()) {
  blockIdx = index;
  prepare();
  for (bool all_ended = false; !all_ended;) {
    bool progress = false;
    all_ended = true;
    for (int i = 0; i < block.threads && !has_finding(); ++i) {
      if (may_run(block.thread[i])) {
        advance(i, body);
        progress = true;
      }
      all_ended = all_ended && block.thread[i].state == Thread::State::exited;
    }
    if (!has_finding() && !all_ended && !progress && !hold_active_meetings()) note_standstill();
    if (has_finding()) {
      abandon_all();
      return;
    }
  }
}

}  // namespace on_host
