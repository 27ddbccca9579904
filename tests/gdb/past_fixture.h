// A guest that damages a list of its own (tests/guests/ledger.c), and stock GDB that looks for who
// did it, backwards.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <regex>

#include "base/testing/temporary_folder.h"
#include "gdb/gdb_fixture.h"

namespace ringside::testing {

class PastDialogue : public Dialogue {
 protected:
  using Stream = ChildProcess::Stream;
  static constexpr std::string_view kFound = "the list is broken\n";

  void SetUp() override {
    Dialogue::SetUp();
    if (IsSkipped()) return;
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  }
  void TearDown() override {
    gdb_.reset();
    guest_.reset();
  }

  std::string disk() const { return folder_ / "disk"; }
  std::string journal() const { return folder_ / "journal"; }

  void begin_ledger(unsigned cpus, GuestOptions::Start start = GuestOptions::Start::Held,
                    std::vector<std::string> arguments = {}) {
    make_disk();
    arguments.insert(arguments.end(), {"-d", disk()});
    begin("ledger", {.cpus = cpus, .start = start, .arguments = std::move(arguments)});
  }
  // Each run begins with the same content of the disk.
  void make_disk() { std::ofstream(disk()) << std::string(16 * 512, '.'); }
  // A run without a debugger, up to a moment after the damage was found, as a journal.
  void record_ledger(unsigned cpus) {
    make_disk();
    GuestProcess guest("ledger", {.cpus = cpus,
                                  .start = GuestOptions::Start::WithoutDebug,
                                  .arguments = {"-d", disk(), "--record", journal()}});
    guest.process().await(Stream::Output, kFound);
    guest.process().kill(SIGTERM);
    guest.process().await_exit();
  }
  // Up to where the damage is found, by a watchpoint; the guest has not said it yet.
  void run_until_broken() {
    gdb("watch broken");
    EXPECT_THAT(gdb("continue"), ::testing::HasSubstr("New value = 200"));
    gdb("delete");
  }
  // Instructions, by `monitor when`.
  std::uint64_t now() {
    const std::string said = gdb("monitor when");
    std::smatch found;
    if (!std::regex_search(said, found, std::regex("^at ([0-9]+)\n"))) {
      ADD_FAILURE() << said;
      return 0;
    }
    return std::stoull(found[1]);
  }
  // To a moment that `monitor goto` knows.
  void go_to(const std::string& place) {
    EXPECT_THAT(gdb("monitor goto " + place), ::testing::StartsWith("at "));
    gdb("maintenance flush register-cache");
  }
  // The number that GDB prints for an expression.
  std::uint64_t value(const std::string& expression) {
    const std::string said = gdb("output/d " + expression);
    return std::stoull(said);
  }
  // How often the guest has said that it has found the damage.
  std::size_t times_found() {
    const std::string& said = guest_->process().text(Stream::Output);
    std::size_t times = 0;
    for (std::size_t at = said.find(kFound); at != std::string::npos;
         at = said.find(kFound, at + 1))
      ++times;
    return times;
  }

  TemporaryFolder folder_;
};

}  // namespace ringside::testing
