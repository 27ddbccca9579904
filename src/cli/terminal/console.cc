#include "cli/terminal/console.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {
namespace {

// What is piped in beyond this waits in its pipe.
constexpr std::size_t kTypeAhead = 4096;
// A terminal is read all the time, so that Ctrl-A x is seen behind any number of keys that a hung
// guest does not take. Room for a file that is pasted into it.
constexpr std::size_t kMostTyped = 256 << 10;

}  // namespace

Console::Console(transport::Poller& poller, std::function<std::size_t()> room,
                 std::function<void(std::span<const std::byte>)> receive)
    : poller_(poller), room_(std::move(room)), receive_(std::move(receive)) {
  // Reading a terminal in the background would stop the process.
  const bool ours = ::isatty(STDIN_FILENO) == 0 || ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
  open_ = ours;
  if (open_) poller_.add(STDIN_FILENO, Interest::Read, [this](auto) { read(); });
}

Console::~Console() {
  if (open_) poller_.remove(STDIN_FILENO);
}

void Console::read() {
  std::array<std::byte, 1024> buffer;
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    if (count < 0) {
      log::warning("guest input has ended: {}", Error::from_errno("cannot read it", errno).text());
    }
    poller_.remove(STDIN_FILENO);
    open_ = false;
    return;
  }
  const std::span<const std::byte> read(buffer.data(), static_cast<std::size_t>(count));
  if (terminal_.active()) {
    keep_typed(keys_.filter(read));
  } else {
    waiting_.insert(waiting_.end(), read.begin(), read.end());
  }
  update();
}

void Console::keep_typed(std::span<const std::byte> typed) {
  const std::size_t kept = std::min(typed.size(), kMostTyped - waiting_.size());
  waiting_.insert(waiting_.end(), typed.begin(), typed.begin() + static_cast<std::ptrdiff_t>(kept));
  const bool loses = kept < typed.size();
  if (loses && !loses_keys_) {
    notice("keys: the guest takes none, and beyond {} KiB they are lost; Ctrl-A x ends the machine",
           kMostTyped >> 10);
  }
  loses_keys_ = loses;
}

void Console::update() {
  const std::size_t count = std::min(waiting_.size(), room_());
  if (count > 0) {
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    receive_(std::vector<std::byte>(waiting_.begin(), end));
    waiting_.erase(waiting_.begin(), end);
  }
  if (!open_) return;
  const bool reads = terminal_.active() || waiting_.size() < kTypeAhead;
  poller_.set_interest(STDIN_FILENO, reads ? Interest::Read : Interest::None);
}

}  // namespace ringside::cli
