// A whole machine with a past, without a program or a socket: a guest of ours, vCPUs, a disk, and
// whoever acts on it from outside. Owned by one test; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/soft/soft_vm.h"
#include "machine/machine.h"
#include "machine/testing/memory_disk.h"
#include "platform/guest_ram.h"
#include "time/history.h"
#include "time/past_disk.h"
#include "time/record/machine_hash.h"
#include "time/record/timeline.h"
#include "time/travels.h"

namespace ringside::testing {

struct TravelOptions {
  std::string guest;  // the name of one of our kernels
  unsigned vcpus = 1;
  soft::TranslatorOptions translator{};
  std::uint64_t history = 64u << 20;
  std::uint64_t between_marks = 20'000;
  std::string record, replay;  // a journal
};

class TravellingMachine {
 public:
  explicit TravellingMachine(const TravelOptions& options);
  ~TravellingMachine();

  // In the present: so many slices, with what is due in between.
  void run(unsigned slices);
  // The same, to this number of instructions. The guest never sleeps for ever.
  void run_to(InsnCount count);
  // What a debugger does there.
  void hold(VcpuId vcpu) { engine_->suspend(vcpu); }
  void release(VcpuId vcpu) { engine_->resume(vcpu); }
  // The recorded run ends here, or has ended.
  void end_recording();
  bool recording_is_over() const { return timeline_->recording_is_over(); }
  void type(const std::string& text);
  void poke(Gpa address, std::uint8_t value);

  // Makes a journey to its end.
  hypervisor::Arrival go(const hypervisor::Journey& journey);
  hypervisor::Arrival go_to(const time::Place& place);
  hypervisor::Arrival finish_journey();

  std::uint64_t hash() { return time::hash_machine(*engine_, *machine_, ram_); }
  // Of what the guest sees on the disk.
  std::uint64_t disk_hash();
  std::uint64_t own_instructions(VcpuId vcpu) {
    return engine_->vcpu(vcpu).instructions().value_or(InsnCount{}).value;
  }
  Gva rip(VcpuId vcpu);
  time::Travels& travels() { return *travels_; }
  time::Timeline& timeline() { return *timeline_; }
  soft::SoftEngine& engine() { return *engine_; }
  const std::vector<std::byte>& image() const { return image_->content; }
  const std::string& output() const { return output_; }
  std::uint64_t symbol(const std::string& name) const;

 private:
  void sort_out_events();

  hypervisor::GuestRam ram_;
  std::string path_;
  std::string output_;
  std::shared_ptr<machine::testing::MemoryDisk> image_;
  std::shared_ptr<time::PastDisk> disk_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::unique_ptr<time::Timeline> timeline_;
  std::unique_ptr<time::History> history_;
  std::unique_ptr<time::Travels> travels_;
  std::uint64_t held_ = 0;
};

}  // namespace ringside::testing
