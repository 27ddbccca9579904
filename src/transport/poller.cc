#include "transport/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transport/readiness.h"

namespace ringside::transport {

Result<Poller> Poller::create() {
  Fd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup) return fail(Error::from_errno("cannot create an eventfd", errno));
  return Poller(std::move(wakeup));
}

void Poller::add(int fd, Interest interest, Callback callback) {
  entries_.push_back(std::make_shared<Entry>(Entry{fd, interest, std::move(callback), false}));
}

void Poller::set_interest(int fd, Interest interest) {
  for (const auto& entry : entries_) {
    if (entry->fd == fd) entry->interest = interest;
  }
}

void Poller::remove(int fd) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [fd](const auto& entry) { return entry->fd == fd; });
  if (found == entries_.end()) return;
  (*found)->removed = true;
  entries_.erase(found);
}

std::vector<std::pair<int, Interest>> Poller::watched() const {
  std::vector<std::pair<int, Interest>> result{{wakeup_.get(), Interest::Read}};
  for (const auto& entry : entries_) {
    if (entry->interest != Interest::None) result.emplace_back(entry->fd, entry->interest);
  }
  return result;
}

Result<> Poller::wait(std::optional<std::chrono::nanoseconds> timeout) {
  polled_.clear();
  polled_.push_back({wakeup_.get(), POLLIN, 0});
  round_.clear();
  for (const auto& entry : entries_) {
    // Left out altogether: poll reports a hang-up to those who ask for nothing, too, and would
    // return at once again and again.
    if (entry->interest == Interest::None) continue;
    polled_.push_back({entry->fd, static_cast<short>(events_of(entry->interest)), 0});
    round_.push_back(entry);
  }
  timespec limit{};
  if (timeout) {
    const auto left = std::max(*timeout, std::chrono::nanoseconds(0));
    limit.tv_sec = static_cast<time_t>(left / std::chrono::seconds(1));
    limit.tv_nsec = static_cast<long>((left % std::chrono::seconds(1)).count());
  }
  const int count = ::ppoll(polled_.data(), polled_.size(), timeout ? &limit : nullptr, nullptr);
  if (count < 0 && errno != EINTR) return fail(Error::from_errno("cannot poll", errno));
  if (count > 0) dispatch();
  round_.clear();
  return {};
}

void Poller::dispatch() {
  if (polled_.front().revents != 0) {
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t size = ::read(wakeup_.get(), &ignored, sizeof ignored);
  }
  for (std::size_t i = 0; i < round_.size(); ++i) {
    const short events = polled_[i + 1].revents;
    Entry& entry = *round_[i];
    if (events == 0 || entry.removed) continue;
    // What an earlier callback of this round no longer wants is not told.
    const Ready ready = ready_for(entry.interest, static_cast<std::uint32_t>(events));
    if (ready.readable || ready.writable) entry.callback(ready);
  }
}

void Poller::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(wakeup_.get(), &one, sizeof one);
}

}  // namespace ringside::transport
