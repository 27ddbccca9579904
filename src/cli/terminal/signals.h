// SIGINT, SIGTERM and SIGHUP end the main loop in order instead of the process on the spot, and
// SIGUSR1 asks for a debug server. Before there is a main loop, while the machine is loaded, they
// end the process on the spot, and say so: whatever it is at, it may be long.
#pragma once

#include <string_view>

#include "transport/poller.h"

namespace ringside::cli {

// Of a process that an error or a signal has ended.
inline constexpr int kErrorStatus = 4;

enum class InterruptKey { Ends, Ignored };

// For the time before there are EndSignals, in which journals and saved machines are opened: a
// signal ends the process on the spot as well, and SIGUSR1 is kept.
void handle_signals_from_the_start();

// Installs the handlers while it lives; one at a time.
class EndSignals {
 public:
  EndSignals(const transport::Poller& poller, InterruptKey interrupt_key);
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Whether the process ends with an end's status where a signal finds it.
  void end_at_once(bool on);
  // The name of the signal that came, or nothing.
  std::string_view received() const;
  // Whether SIGUSR1 has come since the last call.
  bool take_user_signal();
};

}  // namespace ringside::cli
