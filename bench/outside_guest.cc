#include "outside_guest.h"

#include <cstdio>

#include "parts.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;

constexpr const char* kMemory = "256M";

std::vector<std::string> command(Subject subject, const OutsideGuest& guest) {
  if (subject == Subject::Qemu) {
    std::vector<std::string> more = {
        "-kernel", guest.files.kernel, "-initrd", guest.files.initramfs, "-append", kCommandLine};
    more.insert(more.end(), guest.qemu.begin(), guest.qemu.end());
    return testing::qemu_command(1, kMemory, more);
  }
  // Free-running, as QEMU is.
  std::vector<std::string> arguments = {
      "-e", testing::engine(), "--pace",          "off", "-m", kMemory, "-i", guest.files.initramfs,
      "-a", kCommandLine,      guest.files.kernel};
  arguments.insert(arguments.end(), guest.ringside.begin(), guest.ringside.end());
  return ringside_command(arguments);
}

}  // namespace

bool qemu_has(const std::string& name, const std::vector<std::string>& question,
              const std::string& measure, const std::string& what) {
  if (!testing::no_qemu().empty()) return false;
  if (testing::qemu_says(question).find(name) != std::string::npos) return true;
  std::fprintf(stderr, "%s: no ratio: this QEMU was built without %s\n", measure.c_str(),
               what.c_str());
  return false;
}

std::vector<std::optional<double>> times_of(Subject subject, const OutsideGuest& guest,
                                            const std::string& name, const std::string& preparation,
                                            const std::vector<std::string>& work) {
  std::vector<std::optional<double>> times(work.size());
  if (subject == Subject::Qemu && !guest.qemu_has_it) return times;
  ChildProcess process(command(subject, guest));
  process.await(ChildProcess::Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  process.write_input("for m in " + guest.drivers + "; do insmod /modules/$m.ko; done; " +
                      preparation + "\n");
  for (std::size_t i = 0; i < work.size(); ++i) {
    // The marks are not in what is typed, which may be echoed.
    const std::string part = name + std::to_string(i);
    process.write_input("echo BE''GIN " + part + "; " + work[i] + "; echo E''ND " + part +
                        " status $?; echo DI''GEST " + part + " none\n");
    times[i] = await_part(process, name, part).wall;
  }
  return times;
}

}  // namespace ringside::bench
