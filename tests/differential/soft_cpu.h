// Runs single instructions on the software CPU in the state that NativeCpu gives them: privilege 3,
// flat segments (based ones in 16-bit code), the same pages at the same linear addresses.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "differential/state.h"
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"

namespace ringside::differential {

class SoftCpu {
 public:
  SoftCpu();
  ~SoftCpu();

  // A REP instruction runs to its end; `stepwise` an iteration at a time, which must not matter.
  // `retired` gives how many times the instruction counted.
  Outcome run(const Case& test, bool stepwise = false, unsigned* retired = nullptr);
  std::span<std::uint8_t> data();
  std::span<std::uint8_t> read_only();
  // Whether any family takes these bytes: otherwise they raise #UD.
  bool implemented(const Case& test) const;

 private:
  class Bus;
  void set_mode(Mode mode);

  hypervisor::GuestRam ram_;
  std::unique_ptr<Bus> bus_;
  std::unique_ptr<soft::Board> board_;
  std::unique_ptr<soft::Cpu> cpu_;
  x86::CpuState base_;
  Mode mode_ = Mode::Code64;
};

}  // namespace ringside::differential
