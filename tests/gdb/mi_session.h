// Stock GDB by its machine interface (GDB manual, "GDB/MI"), as editors drive it. Owned by one
// test; its end ends GDB.
#pragma once

#include <string>
#include <string_view>

#include "support/child_process.h"

namespace ringside::testing {

class MiSession {
 public:
  // `version` is mi2 or mi3.
  MiSession(std::string_view version, const std::string& image);

  // A command with a token; its result record from the ^ on: `^done,…`, `^running`, `^error,…`.
  std::string ask(std::string_view command);
  // The next *stopped record that was not given out yet.
  std::string await_stop(const Deadline& deadline = Deadline());
  // The next line of what the guest prints by dprintf that was not given out yet.
  std::string await_printed();
  // Ctrl-C, as front ends send it where commands are not asynchronous.
  void interrupt();
  // What GDB has said and nobody was given, up to now: notifications, console, target's output.
  const std::string& all() { return process_.text(ChildProcess::Stream::Output); }

 private:
  std::string await_line(const std::string& start, std::size_t& seen, const Deadline& deadline);

  ChildProcess process_;
  int token_ = 0;
  std::size_t results_seen_ = 0, stops_seen_ = 0, printed_seen_ = 0;
};

}  // namespace ringside::testing
