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
#include "debug/client/session.h"
#include "debug/target/target.h"
#include "ringside/options.h"

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
    // With so many arguments and more it changes something.
    std::size_t changes_from = kNever;
  };
  static constexpr std::size_t kNever = ~std::size_t{0};
  static std::span<const Entry> table();

  std::string list_of_commands() const;
  Result<std::string> help(Words words);
  Result<std::string> info(Words words);
  Result<std::string> status(Words words);
  Result<std::string> stop(Words words);
  Result<std::string> cont(Words words);
  Result<std::string> registers(Words words);
  Result<std::string> one_register(std::string_view name);
  Result<std::string> vcpus(Words words);
  Result<std::string> breakpoints(Words words);
  Result<std::string> walk(Words words);
  Result<std::string> gva2gpa(Words words);
  Result<std::string> tlb(Words words);
  Result<std::string> mem(Words words);
  Result<std::string> watch_physical(Words words);
  Result<std::string> unwatch_physical(Words words);
  Result<std::string> catches(Words words);
  Result<std::string> delete_catch(Words words);
  Result<void> catch_numbers(hypervisor::Catch& wanted, std::string_view word);
  Result<RegisterTest> register_test(Words words);
  Result<std::string> pending(Words words);
  Result<std::string> bind(Words words);
  Result<std::string> cr3(Words words);
  Result<std::string> bind_to_task(Words words);
  Result<std::string> forget(Words words);
  Result<std::string> watch_modules(Words words);
  Result<std::string> linear_pc(Words words);
  Result<std::string> physical(Words words);
  Result<std::string> examine(Words words);
  Result<std::string> examine_physical(Words words);
  Result<std::string> examine_as(const Addresses& addresses, Words words);
  Result<std::string> msr(Words words);
  std::string all_msrs();
  Result<std::string> control(Words words);
  Result<std::string> quit(Words words);

  struct PagingRange {
    std::uint64_t start = 0, end = ~std::uint64_t{0};
  };
  Result<PagingRange> paging_range(Words words);
  // A number (0x1f, 31) or a register of the current vCPU ($rsp), or some of them with + and -
  // between.
  Result<std::uint64_t> number(std::string_view word);
  Result<std::uint64_t> term(std::string_view word);
  // The names of all commands and their other names; the first words of these, and what `info`
  // knows.
  std::vector<std::string_view> names() const;
  std::vector<std::string_view> command_names() const;
  std::vector<std::string_view> info_subjects() const;
  bool holds_running_guest() const;
  hypervisor::Vcpu& current() { return target_.vm().vcpu(session_.current); }

  Target& target_;
  Session& session_;
  const ServerOptions& options_;
  bool quit_ = false;
  std::unique_ptr<MonitorWork> work_;
};

// How x and xp show memory: /FMT as QEMU and GDB have it.
struct ExamineFormat {
  std::uint64_t count = 1;
  char format = 'x';  // one of x d u o c
  unsigned size = 4;  // bytes of an item: 1, 2, 4 or 8
};
Result<ExamineFormat> parse_examine_format(std::string_view text);

// Of all registers, as $NAME has them.
std::span<const std::string_view> register_names();

// "; did you mean X?", or empty where no candidate is near.
// How many of the words are `name`, which is one word or two; 0 if they are not it.
std::size_t matches(std::span<const std::string_view> words, std::string_view name);

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);
// The same for a text that goes on: without a question it has a semicolon.
std::string did_you_mean_and(std::string_view word, std::span<const std::string_view> candidates);

// The registers of one vCPU in the layout of QEMU's `info registers`, which scripts read.
std::string format_registers(const x86::CpuState& state, bool halted);

}  // namespace ringside::debug
