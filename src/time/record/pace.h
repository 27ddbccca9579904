// What virtual time does while the guest sleeps.
#pragma once

namespace ringside::time {

enum class Pace {
  On,   // it follows the wall clock
  Off,  // it jumps to the next event
};

}  // namespace ringside::time
