#include "meetings.h"

#include <algorithm>
#include <cstring>

#include "block.h"
#include "findings.h"

namespace on_host {
namespace {

const char* name_of(Meeting kind) {
  if (kind <= Meeting::barrier_count) return "__syncthreads";
  if (kind == Meeting::sync_warp) return "__syncwarp";
  if (kind <= Meeting::shuffle_xor) return "a shuffle";
  if (kind == Meeting::active_mask) return "__activemask";
  return kind == Meeting::ballot ? "a vote" : "a warp reduction";
}

bool is_barrier(Meeting kind) { return kind >= Meeting::barrier && kind <= Meeting::barrier_count; }

Thread& lane_of(int warp, int lane) { return block.thread[warp * kLanes + lane]; }

bool waits(const Thread& thread) { return thread.state == Thread::State::waiting; }

void go_on(Thread& thread) { thread.state = Thread::State::runnable; }

void wait(Thread& thread) {
  thread.state = Thread::State::waiting;
  thread.fiber->suspend();
}

/// The lane that a shuffle reads, or -1 for its own value.
int source_lane(const Thread& thread, int lane) {
  const int width = thread.width, segment = lane / width * width, within = lane % width;
  switch (thread.meeting) {
    case Meeting::shuffle:
      return segment + (thread.operand & (width - 1));
    case Meeting::shuffle_up:
      return within >= thread.operand ? lane - thread.operand : -1;
    case Meeting::shuffle_down:
      return within + thread.operand < width ? lane + thread.operand : -1;
    default: {
      // Lanes of later segments are out of reach, those of earlier ones are not.
      const int source = lane ^ thread.operand;
      return source < segment + width ? source : -1;
    }
  }
}

bool is_shuffle(Meeting kind) { return kind >= Meeting::shuffle && kind <= Meeting::shuffle_xor; }

template <typename T, typename F>
uint64_t reduced(int warp, unsigned mask, F&& combine) {
  T result{};
  bool first = true;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const T value = static_cast<T>(lane_of(warp, lane).value);
    result = first ? value : combine(result, value);
    first = false;
  }
  return static_cast<uint64_t>(result);
}

uint64_t lanes_where(int warp, unsigned mask, uint64_t value) {
  uint64_t lanes = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) != 0 && lane_of(warp, lane).value == value) lanes |= uint64_t(1) << lane;
  return lanes;
}

uint64_t outcome(int warp, int lane) {
  const Thread& thread = lane_of(warp, lane);
  const unsigned mask = thread.mask;
  switch (thread.meeting) {
    case Meeting::sync_warp:
      return 0;
    case Meeting::ballot:
      return lanes_where(warp, mask, 1);
    case Meeting::match_any:
      return lanes_where(warp, mask, thread.value);
    case Meeting::add:
      return reduced<uint32_t>(warp, mask, [](uint32_t a, uint32_t b) { return a + b; });
    case Meeting::min_signed:
      return reduced<int32_t>(warp, mask, [](int32_t a, int32_t b) { return std::min(a, b); });
    case Meeting::max_signed:
      return reduced<int32_t>(warp, mask, [](int32_t a, int32_t b) { return std::max(a, b); });
    case Meeting::min_unsigned:
      return reduced<uint32_t>(warp, mask, [](uint32_t a, uint32_t b) { return std::min(a, b); });
    case Meeting::max_unsigned:
      return reduced<uint32_t>(warp, mask, [](uint32_t a, uint32_t b) { return std::max(a, b); });
    default: {
      const int source = source_lane(thread, lane);
      return source < 0 ? thread.value : lane_of(warp, source).value;
    }
  }
}

/// __syncwarp orders what its lanes did before it before what they do after it. Shuffles and votes
/// promise nothing of the kind.
void order_accesses(int warp, unsigned mask) {
  uint32_t seen[kLanes] = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    Thread& thread = lane_of(warp, lane);
    seen[lane] = std::max(seen[lane], thread.clock++);
    for (int other = 0; other < kLanes; ++other)
      seen[other] = std::max(seen[other], thread.seen[other]);
  }
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) != 0) std::memcpy(lane_of(warp, lane).seen, seen, sizeof seen);
}

/// Whether all lanes that a thread's mask names wait at the same kind of meeting.
bool is_complete(int warp, const Thread& own) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((own.mask >> lane & 1) == 0) continue;
    if (warp * kLanes + lane >= block.threads) return false;
    const Thread& other = lane_of(warp, lane);
    if (!waits(other) || other.meeting != own.meeting || other.mask != own.mask) return false;
  }
  return true;
}

void hold(int warp, unsigned mask) {
  uint64_t results[kLanes] = {};
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) != 0) results[lane] = outcome(warp, lane);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    lane_of(warp, lane).result = results[lane];
    go_on(lane_of(warp, lane));
  }
}

void check_arrival(const Thread& own, int lane) {
  if ((own.mask >> lane & 1) == 0)
    find("%s in line %d with mask %08x, which lacks the calling lane %d", name_of(own.meeting),
         own.line, own.mask, lane);
  if (!is_shuffle(own.meeting)) return;
  if (own.width <= 0 || own.width > kLanes || (own.width & (own.width - 1)) != 0)
    find("a shuffle in line %d with width %d", own.line, own.width);
  const int source = source_lane(own, lane);
  if (source >= kLanes || (source >= 0 && (own.mask >> source & 1) == 0))
    find("a shuffle in line %d reads lane %d, which its mask %08x lacks", own.line, source,
         own.mask);
}

void check_same_barrier(const Thread& own) {
  const Thread& other = block.thread[block.first];
  if (other.meeting != own.meeting || other.line != own.line)
    find("__syncthreads in line %d, while %s waits at that in line %d", own.line,
         thread_name(block.first), other.line);
}

}  // namespace

int meet_block(Meeting kind, bool predicate, int line) {
  Thread& own = running();
  own.meeting = kind;
  own.line = line;
  if (block.arrived++ == 0) block.first = block.current;
  block.agreeing += predicate;
  check_same_barrier(own);
  if (block.arrived < block.threads) {
    wait(own);
    return static_cast<int>(own.result);
  }
  const bool all = block.agreeing == block.threads;
  const int result = kind == Meeting::barrier_count ? block.agreeing
                     : kind == Meeting::barrier_and ? all
                                                    : block.agreeing > 0;
  block.arrived = block.agreeing = 0;
  ++block.epoch;
  for (int i = 0; i < block.threads; ++i) {
    block.thread[i].result = result;
    go_on(block.thread[i]);
  }
  return result;
}

uint64_t meet_warp(Meeting kind, unsigned mask, uint64_t value, int operand, int width, int line) {
  Thread& own = running();
  const int warp = block.current / kLanes;
  own.meeting = kind;
  own.mask = mask;
  own.value = value;
  own.operand = operand;
  own.width = width;
  own.line = line;
  if (kind != Meeting::active_mask) {
    check_arrival(own, block.current % kLanes);
    own.state = Thread::State::waiting;
    if (is_complete(warp, own)) {
      if (kind == Meeting::sync_warp) order_accesses(warp, mask);
      hold(warp, mask);
      return own.result;
    }
  }
  wait(own);
  return own.result;
}

bool hold_active_meetings() {
  bool any = false;
  for (int i = 0; i < block.threads; ++i) {
    Thread& first = block.thread[i];
    if (!waits(first) || first.meeting != Meeting::active_mask) continue;
    const int warp = i / kLanes, end = std::min(block.threads, (warp + 1) * kLanes);
    uint64_t mask = 0;
    for (int j = i; j < end; ++j) {
      const Thread& other = block.thread[j];
      if (waits(other) && other.meeting == first.meeting && other.line == first.line)
        mask |= uint64_t(1) << j % kLanes;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      lane_of(warp, lane).result = mask;
      go_on(lane_of(warp, lane));
    }
    any = true;
  }
  return any;
}

void note_standstill() {
  int waiting = -1;
  for (int i = block.threads - 1; i >= 0; --i)
    if (waits(block.thread[i])) waiting = i;
  const Thread& own = block.thread[waiting];
  const bool barrier = is_barrier(own.meeting);
  for (int i = 0; i < block.threads; ++i) {
    const Thread& other = block.thread[i];
    const bool wanted =
        barrier || (i / kLanes == waiting / kLanes && (own.mask >> i % kLanes & 1) != 0);
    const bool came =
        waits(other) && other.meeting == own.meeting && (barrier || other.mask == own.mask);
    if (!wanted || came) continue;
    if (other.state == Thread::State::exited) {
      note("%s waits at %s in line %d for %s, which has exited", thread_name(waiting),
           name_of(own.meeting), own.line, thread_name(i));
    } else {
      note("%s waits at %s in line %d for %s, which waits at %s in line %d", thread_name(waiting),
           name_of(own.meeting), own.line, thread_name(i), name_of(other.meeting), other.line);
    }
    return;
  }
  note("%s waits at %s in line %d for lanes of mask %08x that its warp does not have",
       thread_name(waiting), name_of(own.meeting), own.line, own.mask);
}

}  // namespace on_host
