// From the command to the guest's first character on COM1, a few instructions after its entry.
#include <string>
#include <utility>

#include "clock.h"
#include "measure.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;

const testing::GuestImage& guest() {
  static const testing::GuestImage image("end_debug_exit");
  return image;
}

double first_character(std::vector<std::string> command) {
  const auto from = Clock::now();
  ChildProcess process(std::move(command));
  process.await(ChildProcess::Stream::Output, "r");
  return since(from) * 1e3;
}

double on_engine(const char* engine) {
  return first_character(ringside_command({"-e", engine, guest().path()}));
}

Values run_once(Subject subject, double) {
  if (subject == Subject::Qemu) {
    const double qemu =
        first_character(testing::qemu_command(1, "256M", {"-kernel", guest().path32()}));
    return {qemu, qemu};
  }
  return {on_engine("soft"), have_kvm() ? std::optional(on_engine("kvm")) : std::nullopt};
}

}  // namespace

std::vector<Measure> start_measures() {
  return {{"start",
           "from the command to the guest's first character",
           {{"start, software CPU", "ms", Better::Lower, {0, {}, 20}},
            {"start, KVM", "ms", Better::Lower, {0, {}, 100}}},
           run_once}};
}

}  // namespace ringside::bench
