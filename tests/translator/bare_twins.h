// A scene on two bare software engines, one that interprets and one that translates.
#pragma once

#include <array>

#include "platform/guest_ram.h"
#include "translator/scene.h"
#include "translator/scene_platform.h"
#include "translator/twins.h"

namespace ringside::testing {

// One engine with a scene's memory and platform. What makes the vCPU leave the guest is remembered,
// and it goes on.
class BareMachine {
 public:
  BareMachine(const Scene& scene, const soft::TranslatorOptions& options);

  soft::SoftEngine& engine() { return *engine_; }
  const hypervisor::GuestRam& ram() const { return ram_; }
  const ScenePlatform& platform() const { return platform_; }
  // False: it ended, or sleeps for ever, before.
  bool run_to(InsnCount total);
  // One step of a debugger; masked: no interrupt comes in it. False as above.
  enum class Interrupts { Taken, Masked };
  bool step(Interrupts interrupts);
  // The whole state, and going back to it: on this machine, or another one of the scene. What has
  // been remembered of events stays.
  struct Saved {
    std::vector<std::byte> engine;
    ScenePlatform platform;
  };
  Saved save();
  void load(const Saved& saved);
  // Events so far, and how it ended, in words.
  const std::vector<std::string>& events() const { return events_; }

 private:
  enum class Stop { AtCount, AtStep, Never };
  Stop run(InsnCount total);

  hypervisor::GuestRam ram_;
  ScenePlatform platform_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::vector<std::string> events_;
};

class BareTwins final : public Twins {
 public:
  explicit BareTwins(const Scene& scene, const soft::TranslatorOptions& options = translated());

  BareMachine& machine(Side side) { return *machines_[static_cast<std::size_t>(side)]; }
  soft::SoftEngine& engine(Side side) override { return machine(side).engine(); }
  void run_to(InsnCount total) override;
  std::string difference(Depth depth = Depth::Everything) override;

 private:
  std::array<std::unique_ptr<BareMachine>, 2> machines_;
};

// What is different between two machines of one scene; empty: nothing.
std::string machine_difference(BareMachine& one, BareMachine& other,
                               Twins::Depth depth = Twins::Depth::Everything);

}  // namespace ringside::testing
