// An interrupt in stock GDB, driven by its machine interface as editors do, while a `dprintf` in
// the server prints all the time. What GDB itself needs is in the figures. QEMU has none: its stub
// runs no commands (7.2), so that GDB prints by itself and stops the guest for each line, and may
// take the interrupt's stop for that of such a line.
#include <algorithm>
#include <stdexcept>

#include "clock.h"
#include "gdb/mi_session.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::MiSession;

constexpr int kInterrupts = 21;

void done(MiSession& gdb, const std::string& command) {
  const std::string result = gdb.ask(command);
  if (!result.starts_with("^done")) throw std::runtime_error(command + " answers " + result);
}

// Reading all the time, as a front end does: GDB would wait for who does not. How much it said.
std::size_t read_for(MiSession& gdb, double seconds) {
  const std::size_t before = gdb.all().size();
  for (const auto from = Clock::now(); since(from) < seconds;)
    gdb.await_printed();
  return gdb.all().size() - before;
}

Values among_dprintf(Subject subject, double) {
  if (subject != Subject::Ringside) return {};
  constexpr double kSeconds = 0.1;
  Target target = start(subject, {"demo", 2});
  target.client->detach();
  MiSession gdb("mi3", target.image.path());
  done(gdb, "-gdb-set mi-async on");
  done(gdb, "-gdb-set dprintf-style agent");
  gdb.ask("-target-select remote 127.0.0.1:" + std::to_string(target.port));
  gdb.await_stop();
  done(gdb, "-dprintf-insert look_at \"looks at %d\\\\n\" number");
  std::vector<double> took;
  std::size_t said = 0;
  for (int i = 0; i < kInterrupts; ++i) {
    gdb.ask("-exec-continue");
    gdb.await_printed();
    said += read_for(gdb, kSeconds);
    const auto asked = Clock::now();
    done(gdb, "-exec-interrupt");
    gdb.await_stop();
    took.push_back(since(asked) * 1000);
  }
  std::sort(took.begin(), took.end());
  return {took[kInterrupts / 2], took.back(),
          static_cast<double>(said) / (kInterrupts * kSeconds) / 1000};
}

}  // namespace

std::vector<Measure> interrupt_measures() {
  return {{"interrupt-dprintf",
           "an interrupt in GDB/MI, while `dprintf` in the server prints all the time",
           {{"interrupt to stop in GDB/MI among dprintf", "ms", Better::Lower, {0, {}, 100}},
            {"the worst of 21", "ms", Better::Lower, {0, {}, 100}},
            {"what GDB says meanwhile", "kB/s", Better::Higher, {}}},
           among_dprintf}};
}

}  // namespace ringside::bench
