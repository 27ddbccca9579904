// A core of a guest whose 512 MiB are full, for ringside, or nearly empty, for QEMU, which writes
// its zeros too.
#include <filesystem>
#include <stdexcept>
#include <string>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

constexpr const char* kName = "ringside-bench-core";

Values dump_core(Subject subject, double) {
  GuestChoice choice{"filled", 1, "512M"};
  if (subject == Subject::Ringside) choice.words["fill_bytes"] = 495u << 20;
  Target target = start(subject, choice);
  // ringside takes a name in the directory that it was started in, QEMU a path.
  const std::filesystem::path file = std::filesystem::current_path() / kName;
  std::filesystem::remove(file);
  const std::string where = subject == Subject::Ringside ? kName : file.string();
  const auto from = Clock::now();
  const std::string said = testing::monitor(*target.client, "dump-guest-memory " + where);
  const double milliseconds = since(from) * 1e3;
  const bool whole = std::filesystem::exists(file) && std::filesystem::file_size(file) > 500u << 20;
  std::filesystem::remove(file);
  if (!whole) throw std::runtime_error("no core: " + said);
  return {milliseconds};
}

}  // namespace

std::vector<Measure> core_measures() {
  return {{"dump-core",
           "a core of a guest of 512 MiB",
           {{"a core of 512 MiB", "ms", Better::Lower, {0, {}, 2000}}},
           dump_core}};
}

}  // namespace ringside::bench
