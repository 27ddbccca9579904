// A user's work in Debian's Linux: the same parts, of the same size, with the same kernel,
// initramfs and disks. The scripts are in bench/user_work. From a part's mark on the console to the
// next, in wall time.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "linux_files.h"
#include "measure.h"
#include "parts.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;

const std::string kDirectory = RINGSIDE_BENCH_FILES "/user_work/";
const std::string kPrograms = RINGSIDE_LINUX_FILES "/programs/";
constexpr const char* kMemory = "1G";

struct Part {
  const char* name;
  bool on_disk;  // a program of the disk, not of busybox
};
constexpr Part kParts[] = {{"sha256", false}, {"gzip", false},  {"awk", false},   {"sort", false},
                           {"forks", false},  {"files", false}, {"python", true}, {"openssl", true},
                           {"gcc", true},     {"sqlite", true}};

struct Disk {
  std::string path;
  bool read_only;
};

struct Files {
  std::string kernel;
  std::vector<Disk> disks;  // none if there are no programs
  bool has(const Part& part) const { return !part.on_disk || !disks.empty(); }
};

Files make_files() {
  const std::string command = "sh bench/build-work '" + kDirectory + "' '" + kPrograms + "'";
  Files result{run_script(command) + "/vmlinuz", {}};
  if (std::filesystem::exists(kPrograms + "disk.img")) {
    result.disks = {{kPrograms + "disk.img", true}, {kDirectory + "database-used.img", false}};
    return result;
  }
  std::ifstream missing(kPrograms + "missing");
  std::string why, names;
  std::getline(missing, why);
  for (const Part& part : kParts)
    names += part.on_disk ? std::string(" ") + part.name : "";
  std::fprintf(stderr, "work: without%s: %s\n", names.c_str(), why.c_str());
  return result;
}

const Files& files() {
  static const Files result = make_files();
  return result;
}

// A processor on which kernel and programs take the paths that they take in ringside. Its CPUID
// differs from ringside's (src/engine/soft/cpu/cpuid.cc) only by what TCG does not have, such as
// PCID, x2APIC, the TSC deadline and SHA. AVX is in neither.
constexpr const char* kProcessor =
    "Nehalem,model=28,stepping=10,-vme,-spec-ctrl,+movbe,+rdrand,+fsgsbase,+smep,+smap,+erms,"
    "+rdtscp,+pdpe1gb,+umip,+la57,+aes,+pclmulqdq";

std::vector<std::string> qemu_command() {
  std::vector<std::string> more = {"-cpu",         kProcessor,  "-kernel",
                                   files().kernel, "-initrd",   kDirectory + "initramfs.gz",
                                   "-append",      kCommandLine};
  for (const Disk& disk : files().disks) {
    more.insert(more.end(), {"-drive", "if=virtio,format=raw,file=" + disk.path +
                                           (disk.read_only ? ",readonly=on" : "")});
  }
  return testing::qemu_command(1, kMemory, more);
}

// Free-running, as QEMU is: with its clock in step a guest executes no more than an instruction in
// a nanosecond.
std::vector<std::string> our_command() {
  std::vector<std::string> arguments = {
      "-e", testing::engine(),           "--pace", "off",       "-m", kMemory,
      "-i", kDirectory + "initramfs.gz", "-a",     kCommandLine};
  for (const Disk& disk : files().disks)
    arguments.insert(arguments.end(), {"-d", disk.path + (disk.read_only ? ",ro" : "")});
  arguments.push_back(files().kernel);
  return ringside_command(arguments);
}

Values run_once(Subject subject, double) {
  if (!files().disks.empty()) {
    std::filesystem::copy_file(kDirectory + "database.img", files().disks.back().path,
                               std::filesystem::copy_options::overwrite_existing);
  }
  ChildProcess process(subject == Subject::Qemu ? qemu_command() : our_command());
  process.await(ChildProcess::Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  std::string line = "sh /user_work/run.sh";
  for (const Part& part : kParts)
    line += files().has(part) ? std::string(" ") + part.name : "";
  process.write_input(line + "\n");
  Values values = {0, 0};
  for (const Part& part : kParts) {
    values.emplace_back();
    if (!files().has(part)) continue;
    const PartTime time = await_part(process, "work", part.name);
    values.back() = time.wall;
    *values[0] += time.wall;
    *values[1] += time.processor;
  }
  return values;
}

}  // namespace

std::vector<Measure> work_measures() {
  Measure measure{"work", "a user's work in Debian's Linux", {}, run_once};
  measure.figures.push_back({"work in Linux", "s", Better::Lower, {1, {}, {}}});
  measure.figures.push_back({"its processor time", "s", Better::Lower, {}});
  for (const Part& part : kParts) {
    measure.figures.push_back(
        {std::string("– ") + part.name, "s", Better::Lower, {1 / 1.5, {}, {}}});
  }
  return {measure};
}

}  // namespace ringside::bench
