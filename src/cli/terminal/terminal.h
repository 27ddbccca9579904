// The user's terminal as the guest's console: every key goes to the guest. Whatever way the process
// ends, the terminal gets its mode back, and all of it scrolls again; only SIGKILL is beyond that.
// So it does while the process is stopped (SIGTSTP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
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

// Says that somebody draws on the terminal at standard output, with rows of it that do not scroll;
// or that nobody does any more.
void draw_on_terminal(bool on);
// Whether the process was stopped, and the terminal somebody else's, since the last call.
bool terminal_was_left();

// What a key behind Ctrl-A is for.
enum class KeyCommand : std::uint8_t {
  ShowKeys,   // h
  StopGuest,  // d: for a debugger; and lets it go on
  End,        // x
  Wake,       // w: a guest that sleeps
};
// A line for each of them.
extern const std::string_view kKeys;

// Takes the Ctrl-A commands out of what is typed.
class KeyFilter {
 public:
  // What goes to the guest.
  std::vector<std::byte> filter(std::span<const std::byte> typed);
  // Those that were typed since the last call, in their order.
  std::vector<KeyCommand> take_commands() { return std::exchange(commands_, {}); }

 private:
  bool after_escape_ = false;
  std::vector<KeyCommand> commands_;
};

}  // namespace ringside::cli
