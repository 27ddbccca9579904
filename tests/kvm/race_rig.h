// A debug server over an engine with four counting vCPUs, and a client that knows how far each may
// have come: what it is told is checked against what the vCPUs have done. One thread, the test's;
// the engine may have its own.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "conformance/test_vm.h"
#include "debug/server/server.h"
#include "debug/testing/client.h"

namespace ringside::testing {

class RaceRig {
 public:
  RaceRig(const EngineKind& kind, unsigned seed);

  // One random event: a stop, a continue, a step, a breakpoint set or removed and hit. Of a
  // hundred, `kills` end with the client gone, wherever it is then. Throws at the deadline; what is
  // not as it should be is a failure of the running test.
  void act(unsigned kills);
  // The client goes; the guest must run on with its memory intact.
  void kill();

  struct Counts {
    unsigned stops = 0, steps = 0, hits = 0, resumes = 0, kills = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  static constexpr unsigned kVcpus = 4;
  // The places of the loop in the order in which they are executed.
  enum Place { kCall, kTick, kTickEnd, kJump, kPlaces };
  // Instructions that a vCPU has executed since it began to count.
  using Progress = std::array<std::uint64_t, kVcpus>;

  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  void attach();
  void turn(int milliseconds);
  std::string await_reply();
  void await(const std::function<bool()>& condition, const char* what);
  std::string ask(const std::string& packet);
  Progress look();
  std::string loop();
  bool everybody_runs();

  void change_breakpoint();
  void go(const std::string& packet, std::optional<unsigned> stepped, unsigned kills);
  void check_stop(const std::string& reply, const Progress& before,
                  std::optional<unsigned> stepped);
  void check_free_run(const Progress& before, const Progress& now);
  bool chance(unsigned percent) { return pick(100) < percent; }

  std::mt19937 random_;
  TestVm vm_;
  debug::Server server_;
  std::optional<debug::testing::Client> client_;
  std::array<std::uint64_t, kPlaces> places_{};
  std::string code_;  // of the loop, as it was
  std::set<unsigned> inserted_;
  // Where a vCPU was when its hit was told; and where the rule says nothing: it was stepped there,
  // or the breakpoint was changed under it.
  std::array<std::optional<std::uint64_t>, kVcpus> told_, unsure_;
  Counts counts_;
};

}  // namespace ringside::testing
