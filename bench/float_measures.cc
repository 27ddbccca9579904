// Floating point: a guest of our own, float_guest.c here, that computes with SSE and SSE2.
#include "measure.h"
#include "parts.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;

// The guest's name for each, and what it is.
struct Part {
  const char* name;
  const char* what;
};
constexpr Part kParts[] = {
    {"dot", "dot products, packed"},
    {"bodies", "attracting bodies, scalar"},
    {"polynomial", "polynomials, scalar"},
    {"roots", "square roots and divisions"},
    {"convert", "conversions"},
};

Values run_once(Subject subject, double) {
  const testing::GuestImage guest("float");
  ChildProcess process(subject == Subject::Qemu
                           ? testing::qemu_command(1, "64M", {"-kernel", guest.path32()})
                           : ringside_command({"-e", testing::engine(), "--pace", "off", "-m",
                                               "64M", guest.path()}));
  Values values = {0, 0};
  for (const Part& part : kParts) {
    const PartTime time = await_part(process, "float", part.name);
    values.push_back(time.wall);
    *values[0] += time.wall;
    *values[1] += time.processor;
  }
  return values;
}

}  // namespace

std::vector<Measure> float_measures() {
  Measure measure{"float", "floating point with SSE and SSE2", {}, run_once};
  measure.figures.push_back({"floating point", "s", Better::Lower, {1, {}, {}}});
  measure.figures.push_back({"its processor time", "s", Better::Lower, {}});
  for (const Part& part : kParts)
    measure.figures.push_back({std::string("– ") + part.what, "s", Better::Lower, {}});
  return {measure};
}

}  // namespace ringside::bench
