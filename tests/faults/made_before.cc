#include "faults/made_before.h"

#include <signal.h>

#include <fstream>
#include <iterator>
#include <regex>

#include "base/testing/temporary_folder.h"
#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/guest_image.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

// What a debugger makes of a guest that has not begun.
std::string made_by(const char* guest, unsigned cpus, const std::string& command,
                    const TemporaryFolder& folder) {
  ChildProcess process({RINGSIDE_PROGRAM, "-e", "soft", "-m", "4M", "-c", std::to_string(cpus),
                        "-G", "wunix:" + (folder / "socket").string(), "--files", folder.path(),
                        GuestImage(guest).path()});
  process.await_line(Stream::Error, "gdb: listening on");
  DebugClient client((folder / "socket").string());
  client.request("?");
  monitor(client, command + " made");
  client.close();
  process.kill(SIGTERM);
  process.await_exit();
  return read_file(folder / "made");
}

MadeBefore make() {
  const TemporaryFolder folder;
  MadeBefore made;
  made.core_at_start = made_by("counters", 1, "dump-guest-memory", folder);
  made.older_core = made_by("counters", 2, "dump-guest-memory", folder);
  std::filesystem::remove(folder / "made");
  made.saved = made_by("speech", 1, "save", folder);
  const std::string saved = folder / "made";
  made.restored =
      state_in(run_plainly({"--restore", saved, "--pace", "off", "--log", "debug"}, "").error);
  const std::string journal = folder / "journal", core = folder / "core";
  const std::string ends = GuestImage("end_power_off").path();
  made.recorded = state_in(run_plainly({"-m", "4M", "--record", journal, ends}, "x").error);
  made.journal = read_file(journal);
  run_plainly({"-m", "4M", "--dump-on-panic", core, GuestImage("end_triple_fault").path()}, "x");
  made.core_of_death = read_file(core);
  made.older_machine = made_by("counters", 2, "save", folder);
  made.speech = run_plainly({"-m", "4M", "--pace", "off", GuestImage("speech").path()}, "").output;
  return made;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

Outcome run_plainly(std::vector<std::string> arguments, const std::string& input) {
  arguments.insert(arguments.begin(), {RINGSIDE_PROGRAM, "-e", "soft"});
  ChildProcess process(arguments);
  process.write_input(input);
  return outcome_of(process);
}

std::string state_in(const std::string& error) {
  std::smatch found;
  std::regex_search(error, found, std::regex("state: .*"));
  return found.str();
}

const MadeBefore& made_before() {
  static const MadeBefore made = make();
  return made;
}

}  // namespace ringside::testing
