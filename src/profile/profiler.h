// Samples of the guest at exact counts of instructions, each with the functions that have led
// there, as the text that `perf script` prints. Flame graphs are made of that by the usual
// programs.
//
// Owned by who has started it; on the thread that runs the guest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "platform/engine.h"
#include "profile/call_chain.h"
#include "profile/output.h"

namespace ringside::profile {

class Profiler final : public hypervisor::Sampler {
 public:
  // Which the text does not grow beyond by more than a sample.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

  // Begins at once. Everything outlives it; the engine is observable. `ended`: called in the midst
  // of a slice when nothing is sampled any more, with a sentence that says why.
  Profiler(hypervisor::Engine& engine, GuestCode& code, std::uint64_t every, Output output,
           std::function<void(Result<std::string>)> ended);
  ~Profiler() override;
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  void sample(VcpuId vcpu, InsnCount total) override;
  // All that was sampled is written. Nothing comes afterwards.
  Result<void> finish();

  std::uint64_t every() const { return every_; }
  std::uint64_t samples() const { return samples_; }
  std::uint64_t bytes() const { return output_.bytes(); }

 private:
  std::string text_of(VcpuId vcpu, InsnCount total, const x86::CpuState& state);

  hypervisor::Engine& engine_;
  GuestCode& code_;
  std::uint64_t every_, samples_ = 0;
  InsnCount last_;
  Output output_;
  std::function<void(Result<std::string>)> ended_;
};

}  // namespace ringside::profile
