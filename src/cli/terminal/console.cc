#include "cli/terminal/console.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/result.h"

namespace ringside::cli {
namespace {

// Enough to see a Ctrl-A x behind keys that the guest does not take.
constexpr std::size_t kTypeAhead = 4096;

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
    const std::vector<std::byte> typed = keys_.filter(read);
    waiting_.insert(waiting_.end(), typed.begin(), typed.end());
  } else {
    waiting_.insert(waiting_.end(), read.begin(), read.end());
  }
  update();
}

void Console::update() {
  const std::size_t count = std::min(waiting_.size(), room_());
  if (count > 0) {
    receive_(std::span(waiting_).first(count));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (!open_) return;
  poller_.set_interest(STDIN_FILENO,
                       waiting_.size() < kTypeAhead ? Interest::Read : Interest::None);
}

}  // namespace ringside::cli
