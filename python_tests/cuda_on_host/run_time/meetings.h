#pragma once

// Barriers and the exchanges of a warp: who waits for whom, and what each gets.

namespace on_host {

/// Lets lanes that wait in __activemask go on, once nobody else can; false if there are none.
bool hold_active_meetings();

/// Notes who waits for whom in a block in which nobody can go on.
void note_standstill();

}  // namespace on_host
