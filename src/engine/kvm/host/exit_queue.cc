#include "engine/kvm/host/exit_queue.h"

#include <sys/eventfd.h>

#include <utility>

namespace ringside::kvm {

ExitQueue::ExitQueue() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ExitQueue::push(hypervisor::VcpuEvent event) {
  const std::lock_guard lock(lock_);
  events_.push_back(std::move(event));
  wake();
}

void ExitQueue::clear() {
  const std::lock_guard lock(lock_);
  events_.clear();
}

void ExitQueue::wake() { ::eventfd_write(fd_.get(), 1); }

std::optional<hypervisor::VcpuEvent> ExitQueue::take() {
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
