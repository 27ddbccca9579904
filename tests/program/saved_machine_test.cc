// Machines that are saved and restored, by real processes: what goes on from the file is the run
// that would have gone on, and everything that does not fit is told in one sentence.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

constexpr int kError = 4, kPowerOff = 1;

class SavedMachine : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  struct Outcome {
    int status = 0;
    std::string state;  // the line with the hash
    std::string output, error;
  };
  static Outcome outcome(ChildProcess& process) {
    Outcome result;
    result.status = process.await_exit();
    result.output = process.text(Stream::Output);
    result.error = process.text(Stream::Error);
    std::smatch found;
    std::regex_search(result.error, found, std::regex("state: .*"));
    result.state = found.str();
    return result;
  }
  static std::vector<std::string> command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), RINGSIDE_PROGRAM);
    return arguments;
  }
  static Outcome run(const std::vector<std::string>& arguments) {
    ChildProcess process(command(arguments));
    process.close_input();
    return outcome(process);
  }
  // The saved machine, with more options.
  Outcome restore(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"--restore", saved_, "--pace", "off", "--log", "debug"});
    return run(arguments);
  }
  void expect_refusal(const std::vector<std::string>& arguments, const std::string& sentence) {
    ChildProcess process(command(arguments));
    process.close_input();
    const Outcome refused = outcome(process);
    EXPECT_EQ(refused.status, kError);
    EXPECT_EQ(refused.error, "ringside: " + sentence + "\n");
    EXPECT_EQ(refused.output, "");
  }
  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--files", folder_, "--pace", "off", "--log", "debug"});
    return more;
  }
  // A guest that is saved where it begins.
  void save_at_the_start(const char* guest, std::vector<std::string> more = {}, unsigned cpus = 1) {
    GuestProcess process(guest, {.cpus = cpus, .arguments = arguments(std::move(more))});
    DebugClient client = process.attach();
    ASSERT_THAT(monitor(client, "save saved"), StartsWith("saved 'saved' after "));
    client.send("qRcmd," + hex("quit"));
    process.process().await_exit();
  }
  std::size_t files() const {
    const std::filesystem::directory_iterator all(folder_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  const std::string folder_ =
      ::testing::TempDir() + "ringside-saved-program-" + std::to_string(::getpid());
  const std::string saved_ = folder_ + "/saved";
};

// The guest talks, counts with its other vCPUs, takes interrupts of its timer, and ends. It is
// stopped between two lines and then within one, at the instruction that `steps` comes to.
TEST_F(SavedMachine, GoesOnToTheSameEnd) {
  const struct {
    unsigned cpus, lines, steps;
    const char *translate, *translate_restored;
  } cases[] = {{1, 3, 0, "on", "on"},
               {1, 900, 137, "on", "off"},
               {2, 40, 71, "off", "on"},
               {4, 300, 350, "on", "on"},
               {4, 77, 9, "off", "off"}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.lines);
    GuestProcess guest("speech",
                       {.cpus = one.cpus, .arguments = arguments({"--translate", one.translate})});
    DebugClient client = guest.attach();
    client.request("qSupported:swbreak+");
    const std::string watch = "2," + hex_number(guest["lines"]) + ",8";
    ASSERT_EQ(client.request("Z" + watch), "OK");
    for (unsigned line = 0; line < one.lines; ++line) {
      client.resume();
      client.await_stop();
    }
    ASSERT_EQ(client.request("z" + watch), "OK");
    for (unsigned step = 0; step < one.steps; ++step)
      client.step();
    const std::uint64_t rip = client.rip();
    const std::string before = monitor(client, "hash");
    ASSERT_THAT(monitor(client, "save saved"), StartsWith("saved 'saved' after "));
    EXPECT_EQ(monitor(client, "hash"), before);
    client.detach();
    const Outcome went_on = outcome(guest.process());
    ASSERT_EQ(went_on.status, kPowerOff) << went_on.error;

    const Outcome restored = restore({"--translate", one.translate_restored});
    EXPECT_EQ(restored.status, kPowerOff) << restored.error;
    EXPECT_NE(restored.state, "");
    EXPECT_EQ(restored.state, went_on.state);
    EXPECT_FALSE(restored.output.empty());
    EXPECT_TRUE(went_on.output.ends_with(restored.output));
    EXPECT_THAT(restored.error, HasSubstr("restored: " + saved_ + ", "));

    // And under a debugger, who finds it where it was.
    ChildProcess again(command(
        {"--restore", saved_, "--pace", "off", "--log", "debug", "-s", "none", "-G", "w0"}));
    const std::string line = again.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    DebugClient looker(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
    looker.request("?");
    EXPECT_EQ(looker.threads().size(), one.cpus);
    EXPECT_EQ(monitor(looker, "hash"), before);
    if (one.cpus == 1) {
      EXPECT_EQ(looker.rip(), rip);
    }
    looker.detach();
    EXPECT_EQ(outcome(again).state, went_on.state);
  }
}

// As often as one likes: and the seed of random numbers is in it.
TEST_F(SavedMachine, EveryRunOfItIsTheSame) {
  save_at_the_start("random");
  const Outcome first = restore();
  EXPECT_EQ(first.status, kPowerOff) << first.error;
  EXPECT_EQ(first.output.size(), 4 * 17u);
  const Outcome second = restore();
  EXPECT_EQ(second.output, first.output);
  EXPECT_EQ(second.state, first.state);
}

// Port 0x402 is there for the guest, whether or not somebody listens now.
TEST_F(SavedMachine, ItsPortsAreItsOwn) {
  save_at_the_start("speech", {"--debugcon", "file:" + folder_ + "/console", "--debug-exit"});
  const Outcome silent = restore();
  const Outcome heard = restore({"--debugcon", "file:" + folder_ + "/again", "--debug-exit"});
  EXPECT_EQ(silent.status, kPowerOff) << silent.error;
  EXPECT_EQ(heard.state, silent.state);
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/again"), heard.output.size());
}

TEST_F(SavedMachine, OtherOptionsAreRefusedInWords) {
  save_at_the_start("speech", {}, 2);
  const std::string kernel = GuestImage("speech").path();
  const auto refused = [&](std::vector<std::string> more, const std::string& sentence) {
    more.insert(more.begin(), {"--restore", saved_});
    expect_refusal(more, sentence);
  };
  const std::string no = "--restore goes on with a saved machine, so there can be no ";
  refused({kernel}, no + "KERNEL");
  refused({"--bios", kernel}, no + "--bios");
  refused({"-i", kernel}, no + "--initrd");
  refused({"-a", "quiet"}, no + "--append");
  refused({"--date", "host"}, no + "--date");
  refused({"--record", folder_ + "/journal"}, no + "--record");
  refused({"--replay", folder_ + "/journal"}, no + "--replay");
  refused({"-e", "kvm"},
          "--restore needs the software CPU: --engine kvm cannot go on with its state");
  refused({"-c", "1"}, "--cpus 1: the saved machine has 2");
  refused({"-m", "64M"}, "--memory: 64 MiB, but the saved machine has 32 MiB");
  const std::string port = ": the saved machine was started without it, and has no such port";
  refused({"--debug-exit"}, "--debug-exit" + port);
  refused({"--debugcon", "file:/dev/null"}, "--debugcon" + port);
  refused({"-g", "0"}, "--guest-gdb" + port);
  refused({"-d", kernel},
          "--disk: the saved machine has 0 disks, and 1 are given; name all of them or none");
  expect_refusal({"--restore", kernel}, "'" + kernel + "' is not a saved machine");
  expect_refusal({"--restore", "/no/such"},
                 "cannot read the saved machine '/no/such': No such file or directory");
  const Outcome same = restore({"-c", "2", "-m", "32M", "-e", "soft"});
  EXPECT_EQ(same.status, kPowerOff) << same.error;
}

TEST_F(SavedMachine, ADamagedOneIsRefused) {
  save_at_the_start("speech");
  const auto size = std::filesystem::file_size(saved_);
  const std::string damaged = "the saved machine '" + saved_ + "' is damaged or cut off";
  std::fstream(saved_, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<std::streamoff>(size / 2))
      .write("\x55\xaa\x55", 3);
  expect_refusal({"--restore", saved_}, damaged);
  std::filesystem::resize_file(saved_, size - 1);
  expect_refusal({"--restore", saved_}, damaged);
}

class SavedDisk : public SavedMachine {
 protected:
  void make_image(const std::string& path, std::size_t sectors) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(512 * sectors, 'd');
  }
  const std::string image_ = folder_ + "/image";
};

TEST_F(SavedDisk, IsNoSnapshot) {
  make_image(image_, 8);
  GuestProcess guest("dma", {.arguments = arguments({"-d", image_ + ",snapshot"})});
  DebugClient client = guest.attach();
  EXPECT_THAT(
      monitor(client, "save saved"),
      HasSubstr(image_ + " is a snapshot: what the guest has written is not in the image, and "
                         "would be missing"));
}

TEST_F(SavedDisk, IsFoundAgainUnlessItHasChanged) {
  make_image(image_, 8);
  {
    GuestProcess guest("dma", {.arguments = arguments({"-d", image_})});
    DebugClient client = guest.attach();
    client.run_to(guest["ask_device"]);
    ASSERT_THAT(monitor(client, "save saved"), StartsWith("saved 'saved' after "));
    client.send("qRcmd," + hex("quit"));
    guest.process().await_exit();
  }
  const auto goes_on = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"--restore", saved_, "-G", "w0"};
    all.insert(all.end(), more.begin(), more.end());
    ChildProcess process(command(all));
    const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    DebugClient client(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
    client.request("?");
    const GuestImage guest("dma");
    // The device answers: it knows its queue.
    const std::string watch = "2," + hex_number(guest["answers"]) + ",8";
    EXPECT_EQ(client.request("Z" + watch), "OK");
    client.resume();
    client.await_stop();
    EXPECT_EQ(client.read(guest["sector"], 4), "dddd");
    client.send("qRcmd," + hex("quit"));
    EXPECT_EQ(process.await_exit(), kPowerOff);
  };
  goes_on({});
  goes_on({"-d", image_});
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, image_.c_str(), times, 0), 0);
  expect_refusal({"--restore", saved_},
                 "disk image " + image_ +
                     " has changed since the machine was saved, and the guest knows other content; "
                     "-d FILE for each disk takes images of the same sizes as they are");
  goes_on({"-d", image_});
  goes_on({"-d", image_ + ",ro"});
  const std::string other = folder_ + "/other";
  make_image(other, 9);
  expect_refusal(
      {"--restore", saved_, "-d", other},
      "--disk: disk 0 of the saved machine has 4096 bytes, and '" + other + "' has 4608");
  std::filesystem::remove(image_);
  expect_refusal({"--restore", saved_}, "disk image " + image_ + ": No such file or directory");
}

TEST_F(SavedMachine, TheMonitorWritesInOneDirectoryOnly) {
  GuestProcess guest("counters", {.arguments = arguments()});
  DebugClient client = guest.attach();
  for (const std::string name : {"../saved", "/tmp/saved"}) {
    EXPECT_EQ(monitor(client, "save " + name),
              "save: '" + name + "' is no plain file name: all go into the directory of --files, " +
                  folder_ + "\n");
  }
  EXPECT_EQ(monitor(client, "save"), "save: a file name is missing\n");
  std::ofstream(folder_ + "/notes") << "mine";
  EXPECT_EQ(monitor(client, "save notes"),
            "save: 'notes' is there already, and is not a saved machine\n");
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(monitor(client, "save a name"), StartsWith("saved 'a name' after "));
  EXPECT_EQ(files(), 2u);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/a name").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  expect_refusal({"--files", folder_ + "/none", GuestImage("counters").path()},
                 "--files: directory '" + folder_ + "/none': No such file or directory");
}

// The limit on the size of files stands for the disk's end.
TEST_F(SavedMachine, AFullDiskLeavesNoFileAndTheGuestAlone) {
  ChildProcess process(
      {"/bin/sh", "-c",
       "ulimit -f 4; trap '' XFSZ; exec \"$0\" -e soft -m 32M -G w0 --files \"$1\" "
       "--pace off \"$2\"",
       RINGSIDE_PROGRAM, folder_, GuestImage("speech").path()});
  const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
  client.request("?");
  // More than there is room for.
  client.write(0x1000000, std::string(3000, 'x'));
  std::string noise;
  for (unsigned i = 0; i < 4000; ++i)
    noise += static_cast<char>(i * i % 251 + i / 7);
  client.write(0x1100000, noise);
  EXPECT_EQ(monitor(client, "save saved"), "save: cannot write 'saved': File too large\n");
  EXPECT_EQ(files(), 0u);
  client.detach();
  EXPECT_EQ(process.await_exit(), kPowerOff);
}

TEST_F(SavedMachine, IsSavedWhenItIsEndedFromOutside) {
  const auto start = [&] {
    return command(
        {"-e", "soft", "-m", "16M", "--save", saved_, GuestImage("end_power_off").path()});
  };
  {
    ChildProcess process(start());
    process.await(Stream::Output, "r");  // it waits for a key
    process.kill(SIGTERM);
    EXPECT_EQ(process.await_exit(), kError);
    EXPECT_THAT(process.text(Stream::Error), HasSubstr("save: " + saved_ + " is written, "));
  }
  ChildProcess restored(command({"--restore", saved_, "--save", saved_}));
  restored.await_line(Stream::Error, "restored: ");
  restored.write_input("x");
  EXPECT_EQ(restored.await_exit(), kPowerOff);
  EXPECT_THAT(restored.text(Stream::Error),
              HasSubstr("save: nothing is saved, because the guest has ended itself"));
  expect_refusal({"--save", folder_ + "/none/saved", GuestImage("counters").path()},
                 "--save: directory '" + folder_ + "/none': No such file or directory");
  expect_refusal({"--save", GuestImage("counters").path(), GuestImage("counters").path()},
                 "--save: 'counters.elf' is there already, and is not a saved machine");
}

TEST_F(SavedMachine, ARestoredOneCannotBeStartedAgain) {
  save_at_the_start("counters");
  ChildProcess process(command({"--restore", saved_, "-G", "w0"}));
  const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
  client.request("?");
  EXPECT_EQ(monitor(client, "system_reset"),
            "system_reset: a restored machine has no kernel to start again with; --restore begins "
            "anew where it was saved\n");
}

TEST(SavedMachineOnKvm, IsRefusedInWords) {
  SKIP_IF(host::no_engine("kvm"));
  const std::string folder = ::testing::TempDir();
  GuestProcess guest("counters", {.arguments = {"--files", folder}, .on_engine = "kvm"});
  DebugClient client = guest.attach();
  EXPECT_EQ(monitor(client, "save ringside-of-kvm"),
            "save: only the software CPU's machines can be saved\n");
  EXPECT_FALSE(std::filesystem::exists(folder + "/ringside-of-kvm"));
  ChildProcess process(
      {RINGSIDE_PROGRAM, "-e", "kvm", "--save", "x", GuestImage("counters").path()});
  EXPECT_EQ(process.await_exit(), kError);
  EXPECT_THAT(process.text(Stream::Error), HasSubstr("--save needs the software CPU"));
}

}  // namespace
}  // namespace ringside::testing
