// A client of the Debug Adapter Protocol, as an editor is: requests, each with its response, and
// events, as JSON over a debugger's standard streams. Owned by one test; its end ends the debugger.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/child_process.h"

namespace ringside::testing {

class DapSession {
 public:
  explicit DapSession(const std::vector<std::string>& command) : process_(command) {}

  // `arguments` is a JSON object. The response, which must be a success.
  std::string ask(std::string_view command, std::string_view arguments = "{}");
  // The two halves of it, for a response that comes after events.
  int start(std::string_view command, std::string_view arguments = "{}");
  std::string finish(int request);
  // The next event of this name that was not given out yet.
  std::string await_event(std::string_view name);
  // Of the stopped events, of which there is one for each thread that has a reason, that of the
  // thread that the user is led to.
  std::string await_stop();
  // A request that lets the guest run, until it does. lldb-dap 19 loses one that comes too soon
  // after a stop, with any debug server.
  void resume(std::string_view command, std::string_view arguments);

  // The first value of this name in a message: a number, or a string without quotes.
  static std::string value_of(std::string_view message, std::string_view name);

 private:
  std::string await(const std::string& text, const Deadline& deadline = Deadline());
  void take_messages();

  ChildProcess process_;
  std::size_t seen_ = 0;               // of the debugger's output
  std::vector<std::string> messages_;  // that nobody has taken yet
  int last_request_ = 0;
};

}  // namespace ringside::testing
