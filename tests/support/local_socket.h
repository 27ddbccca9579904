// Unix stream sockets for programs that a test is itself: one that listens, and connections. What
// does not come within a deadline is an exception. Owned by one test.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "support/deadline.h"

namespace ringside::testing {

class LocalSocket {
 public:
  explicit LocalSocket(Fd socket) : socket_(std::move(socket)) {}
  static LocalSocket connect(const std::string& path);

  void write(std::string_view text);
  // Says that nothing more will be written.
  void end_writing();
  void close() { socket_.reset(); }
  // Without its end; what there was before the other side closed, if it did.
  std::string read_line();
  // Until the other side has nothing more to say.
  std::string read_to_end();
  // Writes and says the end while it reads to the end.
  std::string exchange(std::string_view text);

 private:
  // False: the other side has nothing more to say.
  bool read_some(std::string& text, std::size_t most);

  Fd socket_;
};

class LocalListener {
 public:
  explicit LocalListener(const std::string& path);
  ~LocalListener();
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  LocalSocket accept() const;

 private:
  std::string path_;
  Fd socket_;
};

}  // namespace ringside::testing
