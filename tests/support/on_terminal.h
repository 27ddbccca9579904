// A program on a pseudo-terminal. Owned by one test; its end kills exactly this program.
#pragma once

#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "support/deadline.h"

namespace ringside::testing {

// The program as the foreground of a pseudo-terminal, as a user starts it.
class OnTerminal {
 public:
  // Nobody knows how many rows and columns it has, unless `size` says.
  explicit OnTerminal(std::vector<std::string> command, winsize size = {}) {
    int terminal = -1, other = -1;
    if (::openpty(&terminal, &other, nullptr, nullptr, &size) != 0) {
      throw std::runtime_error("no pseudo-terminal");
    }
    terminal_.reset(terminal);
    other_.reset(other);
    before_ = mode();
    std::vector<char*> arguments;
    for (std::string& word : command)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::close(terminal);
      ::login_tty(other);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
  }
  ~OnTerminal() {
    if (!child_) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  termios mode() const {
    termios mode{};
    ::tcgetattr(other_.get(), &mode);
    return mode;
  }
  bool restored() const {
    const termios now = mode();
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }
  void type(std::string_view keys) {
    if (::write(terminal_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
      throw std::runtime_error("the terminal takes no keys");
  }
  const std::string& seen() const { return seen_; }
  // What comes from now on is awaited, not what was seen before.
  void forget() { seen_.clear(); }
  void await(std::string_view text) { await_either(text, text); }
  void await_either(std::string_view text, std::string_view other) {
    const Deadline deadline;
    while (seen_.find(text) == std::string::npos && seen_.find(other) == std::string::npos)
      read_more(deadline);
  }
  // What comes next, which is seen then.
  std::string read_more(const Deadline& deadline) {
    char buffer[1000];
    if (!wait_readable(terminal_.get(), deadline))
      throw std::runtime_error("it is late; it has written " + seen_);
    const ssize_t count = ::read(terminal_.get(), buffer, sizeof buffer);
    if (count <= 0) throw std::runtime_error("no terminal; it has written " + seen_);
    std::string text(buffer, static_cast<std::size_t>(count));
    seen_ += text;
    return text;
  }
  void signal(int number) { ::kill(child_, number); }
  void resize(unsigned short rows, unsigned short columns) {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(other_.get(), TIOCSWINSZ, &size);
  }
  void await_stop() { ::waitpid(child_, nullptr, WUNTRACED); }
  // The status as waitpid gives it.
  int await_end() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = 0;
    return status;
  }

 private:
  Fd terminal_, other_;
  termios before_{};
  pid_t child_ = 0;
  std::string seen_;
};

}  // namespace ringside::testing
