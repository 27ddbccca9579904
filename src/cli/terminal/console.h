// Standard input as the keyboard of COM1 or of the virtio console. On a terminal every key goes to
// the guest, except the Ctrl-A commands. Owned by the program's wiring; main thread.
#pragma once

#include <deque>
#include <functional>

#include "cli/terminal/terminal.h"
#include "transport/poller.h"

namespace ringside::cli {

class Console {
 public:
  // `room` says how much the guest can take, `receive` gives it.
  Console(transport::Poller& poller, std::function<std::size_t()> room,
          std::function<void(std::span<const std::byte>)> receive);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Gives the guest what waits, and settles whether to read more.
  void update();
  // Keys come one by one, and those behind Ctrl-A are not the guest's.
  bool is_terminal() const { return terminal_.active(); }
  // What was typed behind Ctrl-A since the last call.
  std::vector<KeyCommand> take_commands() { return keys_.take_commands(); }

 private:
  void read();
  void keep_typed(std::span<const std::byte> typed);

  transport::Poller& poller_;
  std::function<std::size_t()> room_;
  std::function<void(std::span<const std::byte>)> receive_;
  RawTerminal terminal_;
  KeyFilter keys_;
  std::deque<std::byte> waiting_;  // typed, and not taken by the guest yet
  bool loses_keys_ = false;        // the last ones, as the guest takes none
  bool open_ = true;
};

}  // namespace ringside::cli
