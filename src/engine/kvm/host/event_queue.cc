#include "engine/kvm/host/event_queue.h"

#include <sys/eventfd.h>

#include <utility>

namespace ringside::kvm {

EventQueue::EventQueue() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void EventQueue::push(hypervisor::VcpuEvent event) {
  const std::lock_guard lock(lock_);
  events_.push_back(std::move(event));
  wake();
}

void EventQueue::clear() {
  const std::lock_guard lock(lock_);
  events_.clear();
}

void EventQueue::wake() { ::eventfd_write(fd_.get(), 1); }

std::optional<hypervisor::VcpuEvent> EventQueue::take() {
  const std::lock_guard lock(lock_);
  if (events_.empty()) {
    eventfd_t count = 0;
    ::eventfd_read(fd_.get(), &count);
    return std::nullopt;
  }
  hypervisor::VcpuEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace ringside::kvm
