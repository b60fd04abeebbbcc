#pragma once

#include <cstdint>

#include "block.h"

// Who touched a byte, and whether that comes before what a thread does now.

namespace on_host {

/// One access of one thread.
struct Touch {
  uint64_t block = 0;  // serial number of its block; 0 for none
  uint32_t epoch = 0;
  uint32_t clock = 0;
  int thread = -1;
};

inline Touch touch_now() { return {block.serial, block.epoch, running().clock, block.current}; }

/// Whether a barrier of the block or of the warp, or the program's order, puts `touch` before the
/// running thread's present. Blocks are never ordered.
inline bool is_before(const Touch& touch) {
  if (touch.block != block.serial) return false;
  if (touch.thread == block.current || touch.epoch < block.epoch) return true;
  const bool same_warp = touch.thread / kLanes == block.current / kLanes;
  return same_warp && running().seen[touch.thread % kLanes] >= touch.clock;
}

}  // namespace on_host
