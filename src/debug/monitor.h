// The monitor commands (qRcmd): a table of names, each with a line of usage and a page of help. The
// server's owner may add commands for what only it knows, such as the machine's devices.
//
// Made per command on the server's thread, while every vCPU is out of the guest.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "debug/options.h"
#include "debug/session.h"
#include "debug/target.h"

namespace ringside::debug {

class Monitor {
 public:
  Monitor(Target& target, Session& session, const ServerOptions& options)
      : target_(target), session_(session), options_(options) {}

  // What the debugger's console shows, whether it worked or not.
  std::string run(std::string_view line);
  bool quit_requested() const { return quit_; }
  // What the command goes on with; its text comes at the end of that, and run()'s is empty.
  std::unique_ptr<MonitorWork> take_work() { return std::move(work_); }

 private:
  using Words = std::span<const std::string_view>;
  struct Entry {
    std::string_view name;   // one or two words
    std::string_view alias;  // QEMU's name for it, or empty
    std::string_view usage;
    std::string_view help;
    Result<std::string> (Monitor::*run)(Words);
  };
  static std::span<const Entry> table();

  Result<std::string> help(Words words);
  Result<std::string> registers(Words words);
  Result<std::string> vcpus(Words words);
  Result<std::string> breakpoints(Words words);
  Result<std::string> walk(Words words);
  Result<std::string> gva2gpa(Words words);
  Result<std::string> tlb(Words words);
  Result<std::string> mem(Words words);
  Result<std::string> watch_physical(Words words);
  Result<std::string> unwatch_physical(Words words);
  Result<std::string> bind(Words words);
  Result<std::string> forget(Words words);
  Result<std::string> linear_pc(Words words);
  Result<std::string> physical(Words words);
  Result<std::string> msr(Words words);
  Result<std::string> quit(Words words);

  struct PagingRange {
    std::uint64_t start = 0, end = ~std::uint64_t{0};
  };
  Result<PagingRange> paging_range(Words words);
  // A number (0x1f, 31) or a register of the current vCPU ($rsp).
  Result<std::uint64_t> number(std::string_view word);
  hypervisor::Vcpu& current() { return target_.vm().vcpu(session_.current); }

  Target& target_;
  Session& session_;
  const ServerOptions& options_;
  bool quit_ = false;
  std::unique_ptr<MonitorWork> work_;
};

// The registers of one vCPU in the layout of QEMU's `info registers`, which scripts read.
std::string format_registers(const x86::CpuState& state, bool halted);

}  // namespace ringside::debug
