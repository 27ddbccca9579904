#include "linux_files.h"

#include <stdexcept>

#include "support/child_process.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;
using Stream = ChildProcess::Stream;

LinuxFiles make_files() {
  const std::string directory = RINGSIDE_BENCH_FILES;
  const std::string kernel = run_script("sh scripts/fetch-debian-kernel cloud-amd64");
  run_script("sh tests/linux/build-initramfs amd64 '" + directory + "'");
  return {kernel + "/vmlinuz", directory + "/initramfs.gz"};
}

}  // namespace

LinuxFiles make_linux_files(const std::string& flavour, const std::string& drivers) {
  const std::string directory = RINGSIDE_BENCH_FILES "/" + flavour;
  const std::string kernel =
      run_script("sh scripts/fetch-debian-kernel " + flavour + " " + drivers);
  run_script("sh tests/linux/build-initramfs amd64 '" + directory + "' '" + kernel + "'");
  return {kernel + "/vmlinuz", directory + "/initramfs.gz"};
}

std::string run_script(const std::string& command) {
  ChildProcess process({"sh", "-c", "cd '" RINGSIDE_SOURCE "' && " + command});
  const int status = process.await_exit(Deadline(std::chrono::minutes(10)));
  std::string text = process.text(Stream::Output);
  if (status != 0) throw std::runtime_error(command + ": " + process.text(Stream::Error));
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

const LinuxFiles& linux_files() {
  static const LinuxFiles result = make_files();
  return result;
}

}  // namespace ringside::bench
