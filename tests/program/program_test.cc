// The program at its command line: what bad input gets (one clear sentence that names the thing,
// exit status 4), and what it says of itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "machine/testing/kernel_images.h"
#include "support/debug_client.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

struct Outcome {
  int status;
  std::string output, error;
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RINGSIDE_PROGRAM);
  ChildProcess process(arguments);
  process.close_input();
  const int status = process.await_exit();
  return {status, process.text(Stream::Output), process.text(Stream::Error)};
}

// Refused, in one sentence that has `name` in it.
void expect_refusal(const std::vector<std::string>& arguments, const std::string& name) {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.status, 4) << ::testing::PrintToString(arguments) << outcome.error;
  EXPECT_THAT(outcome.error, HasSubstr(name)) << ::testing::PrintToString(arguments);
  EXPECT_THAT(outcome.error, Not(HasSubstr("terminate")));
  EXPECT_LE(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 3) << outcome.error;
}

class Program : public ::testing::Test {
 protected:
  Program()
      : directory_(::testing::TempDir() + "ringside-program-" + std::to_string(::getpid()) + "/") {
    ::mkdir(directory_.c_str(), 0700);
  }
  ~Program() override {
    for (const std::string& path : files_)
      ::unlink(path.c_str());
    ::rmdir(directory_.c_str());
  }
  std::string file(const std::string& name, const std::string& content) {
    const std::string path = directory_ + name;
    std::ofstream(path, std::ios::binary) << content;
    files_.push_back(path);
    return path;
  }
  // NAME.gz, which has that in it.
  std::string gzip(const std::string& name, const std::string& content) {
    const std::string plain = file(name, content);
    files_.push_back(plain + ".gz");
    ChildProcess program({"/bin/sh", "-c", "gzip -c <'" + plain + "' >'" + plain + ".gz'"});
    EXPECT_EQ(program.await_exit(), 0) << program.text(Stream::Error);
    return plain + ".gz";
  }
  static std::string content_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  static std::string guest() { return GuestImage("counters").path(); }

  std::string directory_;
  std::vector<std::string> files_;
};

TEST_F(Program, TellsItsUseAndVersion) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* option :
       {"--cpus", "--memory", "--engine", "--initrd", "--append", "--gdb", "--guest-gdb",
        "--serial", "--debug-exit", "--on-kill", "--bios", "--log", "--probe"})
    EXPECT_THAT(help.output, HasSubstr(option));
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.output, HasSubstr("ringside 0."));
  EXPECT_EQ(run({"--probe"}).status, 0);
}

TEST_F(Program, AKernelThatIsNone) {
  expect_refusal({directory_ + "absent"}, directory_ + "absent");
  expect_refusal({directory_}, directory_);
  expect_refusal({file("empty", "")}, directory_ + "empty");
  expect_refusal({file("text", std::string(5000, 'x'))}, directory_ + "text");
  expect_refusal({"/proc/self/mem"}, "/proc/self/mem");
}

TEST_F(Program, AKernelThatIsCutShort) {
  const std::string whole = content_of(guest());
  for (const std::size_t size : {5u, 60u, 200u, 4100u, 8000u})
    expect_refusal({file("cut", whole.substr(0, size))}, directory_ + "cut");
}

// Also where nothing is wrong but that it was packed.
TEST_F(Program, AKernelThatIsPackedAsAWholeIsUnpacked) {
  const std::string plain = content_of(GuestImage("end_power_off").path());
  const std::string packed = gzip("guest", plain);
  ChildProcess guest({RINGSIDE_PROGRAM, "-e", engine(), packed});
  guest.write_input("x");
  EXPECT_EQ(guest.await_exit(), 1) << guest.text(Stream::Error);
  expect_refusal({file("cut.gz", content_of(packed).substr(0, 1000))},
                 "cut.gz': gzip data is damaged: it ends too early");
  expect_refusal({gzip("none", std::string(5000, 'x'))}, "none.gz' is of no known format");
  expect_refusal({"-m", "1M", gzip("bomb", std::string(2 << 20, '\0'))},
                 "bomb.gz': unpacks to more than 1M");
}

TEST_F(Program, FirmwareIsNotItsOwnVariables) {
  const std::string firmware = file("firmware", std::string(8192, '\0'));
  expect_refusal({"--bios", firmware, "--firmware-vars", firmware}, "is the firmware itself");
  EXPECT_EQ(content_of(firmware), std::string(8192, '\0'));
}

TEST_F(Program, FirmwareWithoutEndIsNotReadOn) {
  const std::string end = "': firmware has at most 16M\n";
  expect_refusal({"--bios", "/dev/zero"}, "cannot read firmware '/dev/zero" + end);
  const std::string large = file("large", "");
  std::filesystem::resize_file(large, (16 << 20) + 4096);
  expect_refusal({"--bios", large}, "cannot read firmware '" + large + end);
}

TEST_F(Program, APipeInWhichNothingComesIsNamed) {
  const std::string pipe = directory_ + "pipe";
  files_.push_back(pipe);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const auto& [what, arguments] :
       {std::pair<std::string, std::vector<std::string>>{"firmware", {"--bios", pipe}},
        {"kernel", {pipe}}}) {
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), RINGSIDE_PROGRAM);
    ChildProcess process(words);
    process.await_line(Stream::Error,
                       "waiting for " + what + " '" + pipe + "': nothing has come from there");
    process.kill(SIGTERM);
    EXPECT_EQ(process.await_exit(), 4);
  }
}

TEST_F(Program, AKernelThatDoesNotFit) {
  expect_refusal({"-m", "1M", GuestImage("mix").path()}, "mix.elf");
}

TEST_F(Program, AModuleThatIsNone) {
  // Without a blank, after which it would be the module's argument.
  expect_refusal({"-i", "/no/such/module", guest()}, "/no/such/module");
}

TEST_F(Program, ImpossibleOptions) {
  expect_refusal({}, "KERNEL");
  expect_refusal({"-c", "0", guest()}, "0");
  expect_refusal({"-c", "65", guest()}, "65");
  expect_refusal({"-c", "two", guest()}, "two");
  expect_refusal({"-m", "0", guest()}, "memory");
  expect_refusal({"-m", "lots", guest()}, "lots");
  expect_refusal({"-m", "99999999999999999999G", guest()}, "99999999999999999999G");
  expect_refusal({"-e", "quantum", guest()}, "quantum");
  expect_refusal({"--on-kill", "cry", guest()}, "cry");
  expect_refusal({"--no-such-option", guest()}, "--no-such-option");
  expect_refusal({"-s", "file:" + directory_ + "no/such/place", guest()}, "no/such/place");
  expect_refusal({guest(), guest()}, "counters.elf");
  expect_refusal({"--bios", file("bios", std::string(1 << 16, 'x')), guest()},
                 "is no Linux bzImage and no EFI program");
}

TEST_F(Program, ABusyPort) {
  GuestProcess first("counters");
  const std::string port = std::to_string(first.port());
  expect_refusal({"-G", port, guest()}, port);
}

TEST_F(Program, ADebuggerOnTheSerialPortsPlace) {
  expect_refusal({"-G", "stdio", "-s", "stdio", guest()}, "--serial");
}

TEST_F(Program, SerialOutputGoesWhereItIsSent) {
  const std::string path = file("serial", "");
  GuestProcess guest("counters",
                     {.start = GuestOptions::Start::Running, .arguments = {"-s", "file:" + path}});
  await_change(guest, guest["counters"], 0);
  EXPECT_EQ(content_of(path), "0");
  EXPECT_EQ(guest.process().text(Stream::Output), "");
}

TEST_F(Program, ADiskThatIsNotRaw) {
  std::string image(4096, '.');
  image.replace(0, 4, "QFI\xfb");
  const std::string path = file("disk", image);
  expect_refusal({"-d", path, guest()}, path + " is qcow2");
  EXPECT_EQ(content_of(path), image);
}

TEST_F(Program, ALinuxThatWouldSayNothingGetsAHint) {
  const machine::testing::Image kernel = machine::testing::make_vmlinux();
  const std::string path =
      file("vmlinux", {reinterpret_cast<const char*>(kernel.data()), kernel.size()});
  const std::string hint = "without --append 'console=ttyS0' Linux says nothing";
  // Its code of NOPs runs into nothing and ends in a triple fault.
  const auto error = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-e", "soft", path});
    return run(arguments).error;
  };
  EXPECT_THAT(error({}), HasSubstr(hint));
  EXPECT_THAT(error({"-a", "quiet"}), HasSubstr(hint));
  EXPECT_THAT(error({"-a", "quiet console=hvc0"}), Not(HasSubstr(hint)));
  EXPECT_THAT(error({"-s", "none"}), Not(HasSubstr(hint)));
}

// The module is gone, or has become too large for memory: `system_reset` says so, and nothing of
// the machine has changed.
TEST_F(Program, AResetThatFailsLeavesTheMachineAsItWas) {
  const std::string module = file("module", "content");
  GuestProcess process("counters",
                       {.start = GuestOptions::Start::Running, .arguments = {"-i", module}});
  await_change(process, process["counters"], 0);
  EXPECT_THAT(process.process().text(Stream::Error), Not(HasSubstr("console=")));
  DebugClient client = process.attach();
  const auto reset = [&] { return unhex(client.request("qRcmd," + hex("system_reset"))); };
  const auto state = [&] { return client.request("g") + client.read(process["counters"], 64); };
  const std::string before = state();

  ASSERT_EQ(::unlink(module.c_str()), 0);
  EXPECT_THAT(reset(), HasSubstr(module));
  EXPECT_EQ(state(), before);
  file("module", "");
  ASSERT_EQ(::truncate(module.c_str(), 512 << 20), 0);
  EXPECT_THAT(reset(), HasSubstr(module));
  EXPECT_EQ(state(), before);

  const std::uint64_t counted = client.read_u64(process["counters"]);
  client.detach();
  await_change(process, process["counters"], counted);
}

}  // namespace
}  // namespace ringside::testing
