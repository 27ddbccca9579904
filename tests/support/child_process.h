// A child process with pipes to its standard streams. Owned by one test; its end kills exactly this
// child and waits for it.
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "support/deadline.h"

namespace ringside::testing {

class ChildProcess {
 public:
  // Throws std::runtime_error when the program cannot be started.
  explicit ChildProcess(const std::vector<std::string>& command);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  enum class Stream { Output, Error };
  void write_input(std::string_view bytes);
  void close_input() { input_.reset(); }
  // Waits until everything read from the stream so far contains `text`. Throws at the deadline, or
  // when the stream ends before.
  void await(Stream stream, std::string_view text, const Deadline& deadline = Deadline());
  // The next whole line that begins with `start`, without its end.
  std::string await_line(Stream stream, std::string_view start,
                         const Deadline& deadline = Deadline());
  // Waits for anything new in the stream. Throws at the deadline and at the stream's end.
  void await_more(Stream stream, const Deadline& deadline = Deadline());
  // The same for both streams, whichever has something new or ends.
  void await_any(const Deadline& deadline = Deadline());
  // What came so far; reads what is there without waiting.
  const std::string& text(Stream stream);
  // Reads nothing.
  const std::string& text_so_far(Stream stream) { return pipe(stream).text; }
  // Waits for the process to end: its exit status, or 128 + the signal that killed it.
  int await_exit(const Deadline& deadline = Deadline()) {
    return await_exit(Reading::On, deadline);
  }
  // The same, and nobody reads its streams meanwhile.
  int await_unread_exit(const Deadline& deadline = Deadline()) {
    return await_exit(Reading::Off, deadline);
  }
  bool running();
  // How long it has used processors in all, in seconds; other children do not count. Only when it
  // has ended: before await_exit() it is not known.
  double processor_time() const { return processor_time_.value(); }
  // Waits for it to have used the processor for some milliseconds more: for programs that sleep
  // unless they have work.
  void await_busy(const Deadline& deadline = Deadline());
  void kill(int signal);
  pid_t pid() const { return pid_; }

 private:
  struct Pipe {
    Fd fd;
    std::string text;
  };
  enum class Reading { On, Off };
  int await_exit(Reading reading, const Deadline& deadline);
  Pipe& pipe(Stream stream) { return stream == Stream::Output ? output_ : error_; }
  // Reads from both streams until `stream` has something new; false at its end.
  bool fill(Stream stream, const Deadline& deadline);

  std::string name_;
  pid_t pid_ = -1;
  Fd input_;
  Pipe output_, error_;
  std::optional<int> status_;
  std::optional<double> processor_time_;
};

}  // namespace ringside::testing
