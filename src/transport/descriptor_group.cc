#include "transport/descriptor_group.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "transport/readiness.h"

namespace ringside::transport {

Result<std::unique_ptr<DescriptorGroup>> DescriptorGroup::create(EventLoop& loop) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(Error::from_errno("cannot create an epoll descriptor", errno));
  return std::unique_ptr<DescriptorGroup>(new DescriptorGroup(loop, std::move(epoll)));
}

DescriptorGroup::DescriptorGroup(EventLoop& loop, Fd epoll)
    : loop_(loop), epoll_(std::move(epoll)) {
  loop_.add(epoll_.get(), Interest::Read, [this](auto) { dispatch(); });
}

DescriptorGroup::~DescriptorGroup() {
  loop_.remove(epoll_.get());
  for (const auto& [fd, entry] : entries_) {
    if (entry->apart) loop_.remove(fd);
  }
}

// A descriptor of no interest is taken out: epoll would tell of a hang-up all the same, again and
// again.
void DescriptorGroup::watch(Entry& entry, Interest now) {
  if (entry.apart) return loop_.set_interest(entry.fd, now);
  const Interest before = std::exchange(entry.watched, now);
  if (before == now) return;
  epoll_event event{};
  event.data.fd = entry.fd;
  event.events = events_of(now);
  const int change = now == Interest::None      ? EPOLL_CTL_DEL
                     : before == Interest::None ? EPOLL_CTL_ADD
                                                : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_.get(), change, entry.fd, &event) == 0 || now == Interest::None) return;
  if (before != Interest::None) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry.fd, &event);
  watch_apart(entry);
}

// The system has no memory for one more, or no room within the user's limit: nobody would hear of
// it any more. The loop itself needs neither.
void DescriptorGroup::watch_apart(Entry& entry) {
  entry.apart = true;
  loop_.add(entry.fd, entry.watched, [this, fd = entry.fd](Ready ready) {
    const std::shared_ptr<Entry> found = entries_.at(fd);
    found->callback(ready);
  });
}

void DescriptorGroup::add(int fd, Interest interest, Callback callback) {
  const auto entry = std::make_shared<Entry>();
  entry->fd = fd;
  entry->interest = interest;
  entry->callback = std::move(callback);
  watch(*entry, interest);
  entries_[fd] = entry;
}

// Less interest is told to the system when something comes that is of none: who asks one thing at a
// time has answers in between, and would pay two system calls for each.
void DescriptorGroup::set_interest(int fd, Interest interest) {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  entry.interest = interest;
  if (entry.apart || !includes(entry.watched, interest)) watch(entry, interest);
}

void DescriptorGroup::remove(int fd) {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  if (found->second->apart) {
    loop_.remove(fd);
  } else {
    watch(*found->second, Interest::None);
  }
  found->second->removed = true;
  entries_.erase(found);
}

void DescriptorGroup::dispatch() {
  std::array<epoll_event, 32> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  // By entry, because a callback may give a descriptor's number to another one.
  std::vector<std::pair<std::shared_ptr<Entry>, std::uint32_t>> round;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto found = entries_.find(event.data.fd);
    if (found != entries_.end()) round.emplace_back(found->second, event.events);
  }
  for (const auto& [entry, what] : round) {
    if (entry->removed) continue;
    const Ready ready = ready_for(entry->interest, what);
    if (ready.readable || ready.writable) {
      entry->callback(ready);
    } else {
      watch(*entry, entry->interest);
    }
  }
}

}  // namespace ringside::transport
