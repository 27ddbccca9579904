// A client of the machine protocol reduced to its socket: lines out and in. It shares no code with
// the server's. Every wait is bounded; what goes wrong throws std::runtime_error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "support/deadline.h"

namespace ringside::testing {

class QmpClient {
 public:
  // Connected; the greeting has not been read.
  explicit QmpClient(const std::string& path);

  // A descriptor goes with the first byte; -1: none.
  void send(std::string_view bytes, int descriptor = -1);
  // The next line, without its end.
  std::string receive(const Deadline& deadline = Deadline());
  // The greeting, and the agreement on no capabilities.
  QmpClient& begin();
  // Sends it, and gives its answer. Events on the way are kept.
  std::string ask(std::string_view bytes, int descriptor = -1);
  std::string run(const std::string& command, const std::string& arguments = "",
                  int descriptor = -1);
  // A line of the human monitor: what it says, with ends of lines as they come.
  std::string monitor(const std::string& line);
  // The names of the events so far.
  std::vector<std::string> take_events();
  // The next event, which must be this.
  void await_event(const std::string& name);
  void await_close();
  bool has_input() const;
  int descriptor() const { return fd_.get(); }
  void close() { fd_.reset(); }

  static constexpr const char* kDone = "{\"return\": {}}";

 private:
  bool note_event(const std::string& line);
  Fd fd_;
  std::string input_;
  std::vector<std::string> events_;
};

}  // namespace ringside::testing
