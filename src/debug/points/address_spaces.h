// Breakpoints and watchpoints that count in one address space only, or in one task of the guest's
// system only, by the client's choice (`monitor bind`). What is chosen belongs to a linear address,
// so that it outlives the client's taking a breakpoint out and putting it back.
//
// Owned by the server's target; changed on its thread while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "ringside/options.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

class AddressSpaces {
 public:
  // The bits of CR3 that say where the top table is: not PCID, PWT, PCD or LAM (SDM 3A 4.5).
  static constexpr std::uint64_t kTable = 0x000f'ffff'ffff'f000;

  static constexpr std::size_t kMost = 10'000;
  static constexpr const char* kFull = "10000 addresses are bound already, which is the most";

  struct Task {
    std::string words;  // for lists
    GuestKnowledge::TaskTest runs;
  };

  const std::map<Gva, std::uint64_t>& all() const { return bound_; }
  const std::map<Gva, Task>& tasks() const { return tasks_; }
  bool full() const { return bound_.size() + tasks_.size() >= kMost; }
  void bind(Gva address, std::uint64_t cr3) { bound_[address] = cr3 & kTable; }
  void bind(Gva address, Task task) { tasks_[address] = std::move(task); }
  void release(Gva address) {
    bound_.erase(address);
    tasks_.erase(address);
  }
  void clear() {
    bound_.clear();
    tasks_.clear();
  }

  std::optional<std::uint64_t> space_of(Gva address) const {
    const auto found = bound_.find(address);
    if (found == bound_.end()) return std::nullopt;
    return found->second;
  }
  // What is said of the task that an address is bound to; empty for none.
  std::string task_of(Gva address) const {
    const auto found = tasks_.find(address);
    return found == tasks_.end() ? std::string() : found->second.words;
  }
  // Whether a hit of this vCPU's counts. Where a task was chosen and it cannot be seen what the
  // vCPU runs, it is not that task.
  bool counts(hypervisor::Vm& vm, VcpuId vcpu, Gva address) const {
    if (!tasks_.empty()) {
      const auto task = tasks_.find(address);
      if (task != tasks_.end() && !task->second.runs(vcpu)) return false;
    }
    if (bound_.empty()) return true;
    const std::optional<std::uint64_t> space = space_of(address);
    if (!space) return true;
    const auto cr3 = vm.vcpu(vcpu).read_register(x86::Register::Cr3);
    return !cr3 || (cr3->as_u64() & kTable) == *space;
  }

 private:
  std::map<Gva, std::uint64_t> bound_;
  std::map<Gva, Task> tasks_;
};

}  // namespace ringside::debug
