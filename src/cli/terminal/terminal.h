// The user's terminal as the guest's console: every key goes to the guest. Whatever way the process
// ends, the terminal gets its mode back; only SIGKILL is beyond that.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ringside::cli {

// Raw mode on standard input while this lives. One at a time.
class RawTerminal {
 public:
  // Does nothing where standard input is no terminal, or not ours because we run in the background.
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  bool active() const { return active_; }

 private:
  bool active_ = false;
};

// Takes the Ctrl-A commands out of what is typed.
class KeyFilter {
 public:
  // What goes to the guest.
  std::vector<std::byte> filter(std::span<const std::byte> typed);
  // Ctrl-A x was typed.
  bool quit() const { return quit_; }

 private:
  bool after_escape_ = false;
  bool quit_ = false;
};

}  // namespace ringside::cli
