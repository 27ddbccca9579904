#include "cli/terminal/host_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/output_file.h"

namespace ringside::cli {
namespace {

constexpr std::size_t kBuffer = 64u << 10;

// A terminal is writable as soon as there is room for anything, and then takes its time for the
// rest. Its open file is shared with the shell and with stderr, so that it is not for us to make it
// non-blocking; hence one of our own, if it can be had.
Fd reopen_terminal(int fd) {
  if (::isatty(fd) == 0) return Fd();
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  return Fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

bool writable(int fd, int timeout) {
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, timeout) > 0;
}

}  // namespace

std::unique_ptr<HostOutput> HostOutput::standard_output(transport::Poller& poller) {
  Fd terminal = reopen_terminal(STDOUT_FILENO);
  const int number = terminal ? terminal.get() : STDOUT_FILENO;
  return std::unique_ptr<HostOutput>(new HostOutput(poller, number, std::move(terminal)));
}

Result<std::unique_ptr<HostOutput>> HostOutput::file(transport::Poller& poller,
                                                     const std::string& path) {
  Fd fd = TRY(open_output(path));
  const int number = fd.get();
  return std::unique_ptr<HostOutput>(new HostOutput(poller, number, std::move(fd)));
}

HostOutput::HostOutput(transport::Poller& poller, int fd, Fd owned)
    : poller_(poller), fd_(fd), owned_(std::move(owned)) {
  poller_.add(fd_, Interest::None, [this](auto) { flush(); });
}

// What the other side takes within a moment still goes out.
HostOutput::~HostOutput() {
  constexpr int kMilliseconds = 200;
  while (!buffer_.empty() && !failed_ && writable(fd_, kMilliseconds))
    write_some();
  poller_.remove(fd_);
}

bool HostOutput::has_room() const { return failed_ || buffer_.size() < kBuffer; }

bool HostOutput::full() {
  const std::lock_guard guard(lock_);
  held_ |= !has_room();
  return !has_room();
}

bool HostOutput::has_room_again() {
  const std::lock_guard guard(lock_);
  return has_room() && std::exchange(held_, false);
}

void HostOutput::append(std::span<const std::byte> bytes) {
  const std::lock_guard guard(lock_);
  if (failed_) return;
  // The main loop may be waiting, if this is a vCPU's own thread.
  if (buffer_.empty()) poller_.wake();
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void HostOutput::flush() {
  const std::lock_guard guard(lock_);
  while (!buffer_.empty() && !failed_ && writable(fd_, 0)) {
    if (write_some() == 0) break;
  }
  poller_.set_interest(fd_, buffer_.empty() ? Interest::None : Interest::Write);
}

// No more than a ready pipe takes without blocking (POSIX, write).
std::size_t HostOutput::write_some() {
  const std::size_t size = std::min<std::size_t>(buffer_.size(), PIPE_BUF);
  const ssize_t written = ::write(fd_, buffer_.data(), size);
  if (written > 0) {
    buffer_.erase(0, static_cast<std::size_t>(written));
    return static_cast<std::size_t>(written);
  }
  if (written < 0 && errno != EINTR && errno != EAGAIN) {
    log::warning("guest output is dropped: {}", Error::from_errno("cannot write it", errno).text());
    failed_ = true;
    buffer_.clear();
  }
  return 0;
}

}  // namespace ringside::cli
