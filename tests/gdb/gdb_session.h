// Stock GDB at its command line, as a user has it: one command, then its output up to the next
// prompt. Owned by one test; its end ends GDB.
#pragma once

#include <string>
#include <string_view>

#include "support/child_process.h"

namespace ringside::testing {

class GdbSession {
 public:
  // Reads symbols from `image`; no start-up files, no paging, no questions.
  explicit GdbSession(const std::string& image);

  // Why GDB cannot be used here; empty if it can.
  static std::string missing();

  // Types a line and gives what GDB printed for it. Waits for the prompt.
  std::string command(std::string_view line, const Deadline& deadline = Deadline());
  // The two halves of a command that runs the guest: type it, and wait for the prompt.
  void start(std::string_view line);
  std::string finish(const Deadline& deadline = Deadline());
  // A command that resumes the guest, and Ctrl-C once `server` is at work on it. (Before, the
  // interrupt would overtake the resume, and the server ignores it while the guest is stopped.)
  std::string interrupt_command(std::string_view line, ChildProcess& server);

 private:
  ChildProcess process_;
  std::size_t seen_ = 0;  // what of the output was given out
};

}  // namespace ringside::testing
