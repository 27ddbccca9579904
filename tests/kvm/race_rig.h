// A client in all-stop mode that knows how far each vCPU may have come: what it is told is checked
// against what the vCPUs have done.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "kvm/race_bed.h"

namespace ringside::testing {

class RaceRig final : public RaceBed {
 public:
  RaceRig(const EngineKind& kind, unsigned seed);

  // One random event: a stop, a continue, a step, a breakpoint set or removed and hit. Of a
  // hundred, `kills` end with the client gone, wherever it is then. Throws at the deadline; what is
  // not as it should be is a failure of the running test.
  void act(unsigned kills);

 private:
  void greet() override;
  void change_breakpoint();
  void go(const std::string& packet, std::optional<unsigned> stepped, unsigned kills);
  void check_stop(const std::string& reply, const Progress& before,
                  std::optional<unsigned> stepped);
  void check_free_run(const Progress& before, const Progress& now);

  // Where a vCPU was when its hit was told; and where the rule says nothing: it was stepped there,
  // or the breakpoint was changed under it.
  std::array<std::optional<std::uint64_t>, kVcpus> told_, unsure_;
};

}  // namespace ringside::testing
