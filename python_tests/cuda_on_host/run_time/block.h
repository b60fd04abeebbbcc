#pragma once

#include <cstdint>

#include "fiber.h"
#include "on_host/synchronize.h"
#include "on_host/vectors.h"

// The threads of the block that runs.

namespace on_host {

constexpr int kLanes = 32;

struct Thread {
  enum class State { fresh, runnable, waiting, exited };
  State state;
  Fiber* fiber;
  int slot;  // the fiber's number

  // What a waiting thread waits for, and what the meeting gives it.
  Meeting meeting;
  unsigned mask;
  uint64_t value;
  int operand, width, line;
  uint64_t result;

  // Order of memory accesses within a warp: this thread's time, which each __syncwarp advances, and
  // the time of each lane up to which its accesses come before what this thread does now.
  uint32_t clock;
  uint32_t seen[kLanes];
};

struct Block {
  uint64_t serial = 0;  // of all blocks ever run, from 1
  uint64_t index = 0;   // in its grid
  dim3 size;
  int threads = 0;
  int current = 0;     // the thread that runs
  uint32_t epoch = 0;  // block barriers passed
  int arrived = 0;     // threads at the barrier that the block is about to pass ...
  int agreeing = 0;    // ... and of these with a true predicate
  int first = 0;       // ... and which came first
  Thread thread[kMaxThreads];
};

extern Block block;

inline Thread& running() { return block.thread[block.current]; }

/// Runs a block's threads to their end, or up to the first finding.
void run_block(uint3 index, void (*body)());

/// Gives up the block that runs: records what was found and never returns.
[[noreturn]] void give_up();

}  // namespace on_host
