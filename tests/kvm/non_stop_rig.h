// A client in non-stop mode over four vCPUs that count: each is resumed, stepped and stopped by
// itself while breakpoints come and go, and what the client is told is checked against what the
// vCPUs have done.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>

#include "kvm/race_bed.h"

namespace ringside::testing {

class NonStopRig final : public RaceBed {
 public:
  NonStopRig(const EngineKind& kind, unsigned seed);

  // One random event. Throws at the deadline; what is not as it should be is a failure of the
  // running test.
  void act(unsigned kills);

 private:
  struct Cpu {
    bool runs = true;
    bool steps = false;
    std::uint64_t at = 0;  // its progress, when it was resumed or has stopped
    // A hit was told where it is, so that it is not told again.
    bool told = false;
    // Breakpoints that were there all the time since it was resumed, and at any time.
    std::set<unsigned> always, ever;
  };

  void greet() override;
  void change_breakpoint();
  void resume(unsigned vcpu);
  void stop(unsigned vcpu);
  void stop_all();
  void take_notifications();
  void acknowledge();
  void told(const std::string& reply);
  void check_that_the_stopped_stand();

  std::array<Cpu, kVcpus> cpus_;
  bool acknowledged_ = true;  // the last notification
};

}  // namespace ringside::testing
