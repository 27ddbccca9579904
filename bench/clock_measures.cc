// How the guest's clock runs against the wall's: Debian's Linux reads its own, and the moment at
// which it says so is taken outside. Busy: a loop in a shell for each vCPU.
#include <optional>
#include <string>

#include "clock.h"
#include "linux_files.h"
#include "measure.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;
using Stream = ChildProcess::Stream;

constexpr const char* kMemory = "512M";
constexpr double kSecondsOfRun = 4;  // of each figure; the guest reads hundredths of a second

std::vector<std::string> command(Subject subject, unsigned cpus) {
  const LinuxFiles& files = linux_files();
  if (subject == Subject::Qemu) {
    return testing::qemu_command(
        cpus, kMemory,
        {"-kernel", files.kernel, "-initrd", files.initramfs, "-append", kCommandLine});
  }
  return ringside_command({"-e", testing::engine(), "-c", std::to_string(cpus), "-m", kMemory, "-i",
                           files.initramfs, "-a", kCommandLine, files.kernel});
}

// A guest at its shell's prompt.
class Guest {
 public:
  Guest(Subject subject, unsigned cpus) : process_(command(subject, cpus)) {
    process_.await(Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  }

  void type(const std::string& line) { process_.write_input(line + "\n"); }

  // A command that makes the guest say its time in a line "time N SECONDS". What is typed may come
  // back as an echo, which is never that.
  static std::string say_time(int number) {
    return "read up rest </proc/uptime; echo; echo time $((" + std::to_string(number) + ")) $up";
  }
  struct Times {
    double guest;
    Clock::time_point wall;
  };
  Times await_time(int number) {
    const std::string start = "time " + std::to_string(number) + " ";
    const std::string line =
        process_.await_line(Stream::Output, start, Deadline(std::chrono::minutes(2)));
    return {std::stod(line.substr(start.size())), Clock::now()};
  }

 private:
  ChildProcess process_;
};

// Guest seconds for each second of the wall.
double ratio(const Guest::Times& from, const Guest::Times& to) {
  return (to.guest - from.guest) / std::chrono::duration<double>(to.wall - from.wall).count();
}

double asleep(Guest& guest) {
  guest.type(Guest::say_time(1) + "; sleep " + std::to_string(static_cast<int>(kSecondsOfRun)) +
             "; " + Guest::say_time(2));
  const Guest::Times from = guest.await_time(1);
  return ratio(from, guest.await_time(2));
}

double busy(Guest& guest, unsigned cpus) {
  for (unsigned i = 0; i < cpus; ++i)
    guest.type("while :; do :; done &");
  guest.type(Guest::say_time(3));
  const Guest::Times from = guest.await_time(3);
  let_run(kSecondsOfRun);
  guest.type(Guest::say_time(4));
  return ratio(from, guest.await_time(4));
}

Values run_once(Subject subject, double) {
  Values values;
  for (const unsigned cpus : {1u, 4u}) {
    Guest guest(subject, cpus);
    values.push_back(asleep(guest));
    values.push_back(busy(guest, cpus));
  }
  return values;
}

}  // namespace

std::vector<Measure> clock_measures() {
  return {{"clock",
           "how the guest's clock runs against the wall's",
           {{"guest's clock, 1 vCPU asleep", "s/s", Better::Higher, {}},
            {"guest's clock, 1 vCPU busy", "s/s", Better::Higher, {}},
            {"guest's clock, 4 vCPUs asleep", "s/s", Better::Higher, {}},
            {"guest's clock, 4 vCPUs busy", "s/s", Better::Higher, {}}},
           run_once}};
}

}  // namespace ringside::bench
