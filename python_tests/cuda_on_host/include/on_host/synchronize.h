#pragma once

#include <cstdint>
#include <cstring>

// Barriers, shuffles and votes. Each suspends the thread until all participants have arrived; the
// line of the call tells barriers apart, and stands in messages.

namespace on_host {

enum class Meeting : int {
  none,
  barrier,
  barrier_or,
  barrier_and,
  barrier_count,
  sync_warp,
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,
  ballot,
  match_any,
  min_signed,
  max_signed,
  min_unsigned,
  max_unsigned,
  add,
  active_mask,
};

/// Waits for all threads of the block.
int meet_block(Meeting kind, bool predicate, int line);

/// Waits for the lanes of `mask`; returns what the meeting gives this lane.
uint64_t meet_warp(Meeting kind, unsigned mask, uint64_t value, int operand, int width, int line);

template <typename T>
T shuffle(Meeting kind, unsigned mask, T value, int operand, int width, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t sent = 0;
  std::memcpy(&sent, &value, sizeof value);
  const uint64_t received = meet_warp(kind, mask, sent, operand, width, line);
  std::memcpy(&value, &received, sizeof value);
  return value;
}

inline unsigned ballot(unsigned mask, bool predicate, int line) {
  return static_cast<unsigned>(meet_warp(Meeting::ballot, mask, predicate, 0, 32, line));
}

template <typename T>
T reduce(Meeting kind, unsigned mask, T value, int line) {
  return static_cast<T>(meet_warp(kind, mask, static_cast<uint64_t>(value), 0, 32, line));
}

}  // namespace on_host

inline void __syncthreads(int line = __builtin_LINE()) {
  on_host::meet_block(on_host::Meeting::barrier, false, line);
}
inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
  return on_host::meet_block(on_host::Meeting::barrier_or, predicate != 0, line);
}
inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
  return on_host::meet_block(on_host::Meeting::barrier_and, predicate != 0, line);
}
inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
  return on_host::meet_block(on_host::Meeting::barrier_count, predicate != 0, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  on_host::meet_warp(on_host::Meeting::sync_warp, mask, 0, 0, 32, line);
}
inline unsigned __activemask(int line = __builtin_LINE()) {
  return static_cast<unsigned>(
      on_host::meet_warp(on_host::Meeting::active_mask, 0, 0, 0, 32, line));
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, int line = __builtin_LINE()) {
  return on_host::shuffle(on_host::Meeting::shuffle, mask, value, lane, width, line);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE()) {
  return on_host::shuffle(on_host::Meeting::shuffle_up, mask, value, static_cast<int>(by), width,
                          line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32,
                   int line = __builtin_LINE()) {
  return on_host::shuffle(on_host::Meeting::shuffle_down, mask, value, static_cast<int>(by), width,
                          line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, int line = __builtin_LINE()) {
  return on_host::shuffle(on_host::Meeting::shuffle_xor, mask, value, by, width, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return on_host::ballot(mask, predicate != 0, line);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return on_host::ballot(mask, predicate != 0, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return on_host::ballot(mask, predicate != 0, line) == mask;
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T value, int line = __builtin_LINE()) {
  uint64_t sent = 0;
  std::memcpy(&sent, &value, sizeof value);
  return static_cast<unsigned>(
      on_host::meet_warp(on_host::Meeting::match_any, mask, sent, 0, 32, line));
}

#define ON_HOST_REDUCE(name, T, kind)                                  \
  inline T name(unsigned mask, T value, int line = __builtin_LINE()) { \
    return on_host::reduce(on_host::Meeting::kind, mask, value, line); \
  }
ON_HOST_REDUCE(__reduce_min_sync, int, min_signed)
ON_HOST_REDUCE(__reduce_max_sync, int, max_signed)
ON_HOST_REDUCE(__reduce_add_sync, int, add)
ON_HOST_REDUCE(__reduce_min_sync, unsigned, min_unsigned)
ON_HOST_REDUCE(__reduce_max_sync, unsigned, max_unsigned)
ON_HOST_REDUCE(__reduce_add_sync, unsigned, add)
#undef ON_HOST_REDUCE
