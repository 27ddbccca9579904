// Vector registers of 256 bits, FMA and BMI: a guest of our own, vector_guest.c here, compiled for
// x86-64-v3, and for x86-64-v2 to compare with.
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
    {"copy", "copies of 32 to 1531 bytes"},
    {"lengths", "lengths of texts"},
    {"sha256", "SHA-256 in C"},
    {"products", "dot products, packed"},
    {"polynomial", "polynomials, scalar"},
};

std::vector<double> times(Subject subject, const std::string& level) {
  const std::string name = "vectors_" + level;
  const testing::GuestImage guest(name);
  ChildProcess process(
      subject == Subject::Qemu
          ? testing::qemu_command(1, "64M", {"-cpu", "max", "-kernel", guest.path32()})
          : ringside_command(
                {"-e", "soft", "--cpu", level, "--pace", "off", "-m", "64M", guest.path()}));
  std::vector<double> result;
  for (const Part& part : kParts)
    result.push_back(await_part(process, name, part.name).wall);
  return result;
}

Values run_once(Subject subject, double) {
  const std::vector<double> v2 = times(subject, "v2"), v3 = times(subject, "v3");
  Values values = {0};
  for (std::size_t i = 0; i < v3.size(); ++i) {
    *values[0] += v3[i];
    values.push_back(v3[i]);
    values.push_back(v2[i] / v3[i]);
  }
  return values;
}

}  // namespace

std::vector<Measure> vector_measures() {
  Measure measure{"vectors", "a guest compiled for x86-64-v3", {}, run_once};
  measure.figures.push_back({"x86-64-v3", "s", Better::Lower, {1, {}, {}}});
  for (const Part& part : kParts) {
    measure.figures.push_back({std::string("– ") + part.what, "s", Better::Lower, {}});
    measure.figures.push_back({"   v2's time by v3's", "", Better::Higher, {}});
  }
  return {measure};
}

}  // namespace ringside::bench
