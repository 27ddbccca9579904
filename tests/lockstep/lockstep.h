// Our software CPU and QEMU's on the same memory image, an instruction at a time. Owned by one
// test.
//
// Both start in real mode at `kStart` with the registers of a reset. For a kernel, code placed
// there brings them to the state in which our boot loader enters it, so that the way into 64-bit
// mode is compared too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/soft/soft_vm.h"
#include "lockstep/qemu_trace.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"

namespace ringside::testing {

inline constexpr std::uint64_t kStart = 0x7000;

class Lockstep {
 public:
  struct Options {
    std::uint64_t memory = 64u << 20;
    std::string cpu = "Nehalem";  // of QEMU: nothing that ours lacks
    hypervisor::Processor processor = hypervisor::Processor::V2;  // ours
    std::string command_line;
    bool floating_point = true;  // compare x87 and SSE registers too
    bool interrupts = false;     // ours takes them too: what the guest sends itself
    std::uint64_t program_end = ~std::uint64_t{0};  // behind it are handlers: see Divergence
  };
  // A kernel that our boot loader knows.
  static Lockstep kernel(const std::string& path, const Options& options);
  // Code for real mode, at kStart.
  static Lockstep real_mode(const std::string& code, const Options& options);
  Lockstep(Lockstep&&) = default;
  ~Lockstep();

  struct Divergence {
    std::uint64_t rip = 0;  // of the last instruction before program_end
    std::string text;
  };
  struct Report {
    std::uint64_t compared = 0;   // instructions after which all registers were compared
    std::uint64_t copied = 0;     // of them, those whose result is the machine's own
    std::uint64_t undefined = 0;  // of them, those that left flags undefined that differed
    std::vector<Divergence> divergences;
    std::string end;  // why it did not go on
  };
  // Compares until `instructions` are done, our CPU spins, or too much is different.
  Report run(std::uint64_t instructions);

 private:
  explicit Lockstep(const Options& options);
  void start(const Options& options);
  struct Last;
  bool step();
  Last look_at(const x86::CpuState& state);
  void compare(const Fields& theirs, const Last& last, Report& report);

  std::string base_;  // of the files
  std::string end_;   // why our CPU died
  std::uint64_t program_end_ = 0, program_rip_ = 0;
  std::size_t rows_ = row::kCount;
  std::unique_ptr<hypervisor::GuestRam> ram_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::unique_ptr<QemuTrace> qemu_;
};

}  // namespace ringside::testing
