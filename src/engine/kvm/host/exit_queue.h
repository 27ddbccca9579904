// Events of vCPUs on their way to the main thread, in the order in which they happened, with a
// descriptor to wait for. vCPU threads push, the main thread takes.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "base/fd.h"
#include "ringside/exit.h"

namespace ringside::kvm {

class ExitQueue {
 public:
  ExitQueue();
  int fd() const { return fd_.get(); }

  void push(hypervisor::VcpuEvent event);
  std::optional<hypervisor::VcpuEvent> take();
  void clear();
  // Makes the descriptor readable without an event: the machine has ended.
  void wake();

 private:
  Fd fd_;
  std::mutex lock_;
  std::deque<hypervisor::VcpuEvent> events_;
};

}  // namespace ringside::kvm
