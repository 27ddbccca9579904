// When somebody samples the run (hypervisor::Observable), and who. A plain value of the engine's,
// and no part of the machine's state.
#pragma once

#include <cstdint>

#include "platform/observable.h"

namespace ringside::soft {

class Sampling {
 public:
  void begin(std::uint64_t every, hypervisor::Sampler* sampler) {
    every_ = every;
    sampler_ = sampler;
  }
  bool on() const { return sampler_ != nullptr; }
  // How many instructions there are before the next sample, of which every count that is divisible
  // has one: so the moments do not depend on when somebody began to take them.
  std::uint64_t until_next(std::uint64_t total) const { return every_ - total % every_; }
  // This vCPU has brought the count from `before` to `total`.
  void note(VcpuId vcpu, std::uint64_t before, std::uint64_t total) {
    if (total / every_ != before / every_) sampler_->sample(vcpu, {total});
  }

 private:
  hypervisor::Sampler* sampler_ = nullptr;  // null: nobody
  std::uint64_t every_ = 1;
};

}  // namespace ringside::soft
