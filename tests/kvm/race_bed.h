// A debug server over an engine with four vCPUs that count, a client, and what tests of races need
// to see how far each vCPU has come. One thread, the test's; the engine may have its own.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "conformance/test_vm.h"
#include "debug/server/server.h"
#include "debug/testing/client.h"

namespace ringside::testing {

class RaceBed {
 public:
  RaceBed(const EngineKind& kind, unsigned seed);
  virtual ~RaceBed() = default;

  // The client goes; the guest must run on with its memory intact. Then another comes.
  void kill();

  struct Counts {
    unsigned stops = 0, steps = 0, hits = 0, resumes = 0, kills = 0;
  };
  const Counts& counts() const { return counts_; }

 protected:
  static constexpr unsigned kVcpus = 4;
  static constexpr const char* kNothing = "(nothing)";
  // The places of the loop in the order in which they are executed.
  enum Place { kCall, kTick, kTickEnd, kJump, kPlaces };
  // Instructions that a vCPU has executed since it began to count.
  using Progress = std::array<std::uint64_t, kVcpus>;

  // What a client says at first. Nothing of an earlier one is left.
  virtual void greet() = 0;
  // Connects and greets, once everything is there.
  void attach();

  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  bool chance(unsigned percent) { return pick(100) < percent; }
  // Lets the engine run a little, or waits so long for its events.
  void turn(int milliseconds);
  void await(const std::function<bool()>& condition, const char* what);
  std::string await_reply();
  std::string ask(const std::string& packet);
  std::uint64_t progress_of(unsigned vcpu);
  Progress look();

  std::mt19937 random_;
  TestVm vm_;
  debug::Server server_;
  std::optional<debug::testing::Client> client_;
  std::array<std::uint64_t, kPlaces> places_{};
  std::set<unsigned> inserted_;
  Counts counts_;

 private:
  std::string loop();
  bool everybody_runs();

  std::string code_;  // of the loop, as it was
};

}  // namespace ringside::testing
