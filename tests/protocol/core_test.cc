// Cores of the guest: the monitor command and --dump-on-panic, read back by a reader of their own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "guests/core/testing/core_file.h"
#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using guests::testing::CoreFile;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

constexpr int kTripleFault = 3, kError = 4;

class Core : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override {
    client_.reset();
    guest_.reset();
    std::filesystem::remove_all(folder_);
  }

  void begin(const char* name, GuestOptions options = {}) {
    options.arguments.insert(options.arguments.end(), {"--files", folder_});
    guest_.emplace(name, options);
    if (options.start == Start::Running) guest_->await_said_numbers(options.cpus);
    client_.emplace(guest_->attach());
    client_->request("vCont?");  // a client of threads is told of a death
  }
  std::string dump(const std::string& name) {
    return monitor(*client_, "dump-guest-memory " + name);
  }
  CoreFile core(const std::string& name = "core") const { return CoreFile(folder_ + "/" + name); }
  // The names in the folder, in order.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  // A guest that waits for a key and then ends in one way or another.
  void begin_ending(const char* name, Start start, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--dump-on-panic", folder_ + "/core"});
    guest_.emplace(name, GuestOptions{.start = start, .arguments = std::move(arguments)});
    if (start != Start::WithoutDebug) {
      client_.emplace(guest_->attach());
      client_->request("vCont?");
      client_->send("vCont;c");
    }
    guest_->await_said("r");
  }

  const std::string folder_ = ::testing::TempDir() + "ringside-cores-" + std::to_string(::getpid());
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(Core, HasWhatADebuggerSees) {
  begin("counters", {.cpus = 3, .start = Start::Running});
  const std::string hash = engine() == "soft" ? monitor(*client_, "hash") : "";
  EXPECT_THAT(dump("core"), StartsWith("dumped: 'core' has 32 MiB of memory, "));
  EXPECT_EQ(files(), std::vector<std::string>{"core"});
  const CoreFile core = this->core();
  EXPECT_EQ(core.mode, 0600u);
  EXPECT_LT(core.stored, core.size() / 2) << "pages of zeros are left out";
  ASSERT_EQ(core.registers.size(), 3u);
  ASSERT_EQ(core.qemu.size(), 3u);
  for (unsigned i = 0; i < 3; ++i) {
    client_->select(i);
    const Registers seen = client_->registers();
    EXPECT_EQ(core.threads[i], static_cast<int>(1'000'000'001 + i));
    EXPECT_EQ(core.registers[i].rip, seen.rip());
    EXPECT_EQ(core.registers[i].rsp, seen[kRsp]);
    EXPECT_EQ(core.registers[i].rdi, seen[kRdi]);
    EXPECT_EQ(core.registers[i].eflags, seen[kEflags]);
    EXPECT_EQ(CoreFile::rip(core.qemu[i]), seen.rip());
    EXPECT_EQ(CoreFile::cr3(core.qemu[i]), (*guest_)["pml4"]);
  }
  for (const char* symbol : {"tick", "counters", "main"}) {
    const std::uint64_t address = (*guest_)[symbol];
    EXPECT_EQ(core.linear(address, 24), client_->read(address, 24)) << symbol;
    EXPECT_EQ(core.physical(address, 24), client_->read(address, 24)) << symbol;
  }
  EXPECT_FALSE(core.vmcoreinfo);
  if (engine() == "soft") {
    EXPECT_EQ(monitor(*client_, "hash"), hash);
  }
}

TEST_F(Core, HasTheGuestsBytesAndNotThoseOfBreakpoints) {
  begin("counters", {.start = Start::Running});
  const std::uint64_t tick = (*guest_)["tick"];
  const std::string code = client_->read(tick, 8);
  client_->insert(tick);
  dump("core");
  EXPECT_EQ(core().physical(tick, 8), code);
  client_->resume();
  EXPECT_EQ(client_->await_stop().vcpu, 0u);
  EXPECT_EQ(client_->rip(), tick) << "it is still there";
}

TEST_F(Core, OfTheGuestAsItIsNow) {
  begin("counters", {.start = Start::Running});
  const std::uint64_t counters = (*guest_)["counters"];
  for (const char* value : {"first...", "second.."}) {
    client_->write(counters, value);
    dump("core");  // the second takes the first one's place
    EXPECT_EQ(core().linear(counters, 8), value);
  }
  client_->detach();
  EXPECT_NE(await_change(*guest_, counters, 0), 0u) << "and it runs on";
}

TEST_F(Core, OfAMomentInThePast) {
  if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  begin("counters", {});
  const std::uint64_t tick = (*guest_)["tick"], counters = (*guest_)["counters"];
  client_->run_to(tick);
  const std::string then = client_->read(counters, 8);
  client_->step();
  client_->step();
  ASSERT_NE(client_->read(counters, 8), then);
  client_->send("bs");
  client_->await_stop();
  client_->send("bs");
  client_->await_stop();
  dump("core");
  EXPECT_EQ(core().registers[0].rip, tick);
  EXPECT_EQ(core().linear(counters, 8), then);
}

TEST_F(Core, NamesThatWillNotDoAreRefusedInOneSentence) {
  begin("counters", {});
  const auto refused = [this](const std::string& name, const std::string& why) {
    EXPECT_EQ(dump(name), "dump-guest-memory: " + why + "\n");
  };
  const std::string taken = " is there already, and is not a core";
  std::ofstream(folder_ + "/other") << "somebody else's";
  std::filesystem::create_directory(folder_ + "/folder");
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("other", folder_ + "/link");
  std::filesystem::create_symlink("nowhere", folder_ + "/dangling");
  std::filesystem::create_symlink("/dev/full", folder_ + "/full");
  for (const char* name : {"other", "folder", "fifo", "link", "dangling", "full"})
    refused(name, "'" + std::string(name) + "'" + taken);
  refused("", "a file name is missing");
  const std::string no_name = " is no plain file name: all go into the directory of --files, ";
  refused("/tmp/core", "'/tmp/core'" + no_name + folder_);
  refused("..", "'..'" + no_name + folder_);
  const std::string long_name(5000, 'x');
  refused(long_name, "'" + long_name + "': File name too long");
  refused("-p core", "it takes no options, only the name of a file");
  EXPECT_EQ(files().size(), 6u);
  EXPECT_THAT(dump("a core"), StartsWith("dumped: 'a core' has "));
}

TEST_F(Core, AFolderThatIsGoneOrClosedLosesNothing) {
  if (::geteuid() != 0) {
    begin("counters", {});
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_read);
    EXPECT_EQ(dump("core"), "dump-guest-memory: cannot write 'core': Permission denied\n");
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
  } else {
    begin("counters", {});
    std::filesystem::remove_all(folder_);
    EXPECT_EQ(dump("core"), "dump-guest-memory: cannot write 'core': No such file or directory\n");
  }
  EXPECT_EQ(client_->registers().rip(), client_->rip());
}

// The limit on the size of files stands for the disk's end.
TEST_F(Core, AFullDiskLeavesNoFileAndTheSessionAlone) {
  ChildProcess process({"/bin/sh", "-c",
                        "ulimit -f 16; trap '' XFSZ; exec \"$0\" -e \"$1\" -m 32M -G w0 -s none "
                        "--files \"$2\" \"$3\"",
                        RINGSIDE_PROGRAM, engine(), folder_, GuestImage("counters").path()});
  const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
  client.request("?");
  EXPECT_EQ(monitor(client, "dump-guest-memory core"),
            "dump-guest-memory: cannot write 'core': File too large\n");
  EXPECT_EQ(files().size(), 0u);
  EXPECT_EQ(client.request("?").substr(0, 1), "S");
}

// However it ends in the midst of it: a whole core, or nothing.
TEST_F(Core, WhoGoesOrInterruptsLeavesNothingHalf) {
  begin("filled", {});
  client_->send("vCont;c");
  guest_->await_said("r");
  client_->stop();
  const std::string request = "qRcmd," + hex("dump-guest-memory core");
  const auto whole_or_nothing = [this] {
    const std::vector<std::string> left = files();
    if (!left.empty()) {
      EXPECT_EQ(left, std::vector<std::string>{"core"});
      EXPECT_GT(core().loads.size(), 2u);
    }
  };
  client_->send(request);
  client_->interrupt();
  std::string reply = client_->receive();
  while (reply != "OK" && reply.starts_with('O'))
    reply = client_->receive();
  EXPECT_THAT(reply == "OK" ? "OK" : unhex(reply),
              AnyOf("OK", HasSubstr("Interrupted"), StartsWith("dumped")));
  whole_or_nothing();
  client_->send(request);
  client_->close();
  client_.emplace(guest_->attach());
  whole_or_nothing();
  client_->send(request);
  guest_->process().kill(SIGTERM);
  EXPECT_EQ(guest_->process().await_exit(), kError);
  whole_or_nothing();
}

TEST_F(Core, ATripleFaultIsDumpedAndTheStatusStays) {
  begin_ending("end_triple_fault", Start::WithoutDebug);
  guest_->process().write_input("x");
  EXPECT_EQ(guest_->process().await_exit(), kTripleFault);
  EXPECT_THAT(guest_->process().text(Stream::Error), HasSubstr("dump: 'core' has 32 MiB"));
  const CoreFile core = this->core();
  EXPECT_EQ(core.mode, 0600u);
  const std::uint64_t main = (*guest_)["main"];
  EXPECT_EQ(core.linear(main, 4)->size(), 4u);
  if (engine() == "soft") {
    EXPECT_EQ(core.linear(core.registers[0].rip, 2), "\x0f\x0b") << "ud2";
  }
}

TEST_F(Core, APanicIsDumpedAndTheStatusStays) {
  begin_ending("end_panic", Start::WithoutDebug);
  guest_->process().write_input("x");
  EXPECT_EQ(guest_->process().await_exit(), kError);
  EXPECT_EQ(core().registers.size(), 1u);
}

TEST_F(Core, OtherEndsAreNotDumped) {
  begin_ending("end_power_off", Start::WithoutDebug);
  guest_->process().write_input("x");
  EXPECT_EQ(guest_->process().await_exit(), 1);
  EXPECT_EQ(files().size(), 0u);
}

// A debugger is told when the core is there.
TEST_F(Core, APanicUnderADebuggerIsDumpedOnce) {
  begin_ending("end_panic", Start::Held);
  guest_->process().write_input("x");
  std::string stop = client_->receive();
  while (stop.front() == 'O')
    stop = client_->receive();
  EXPECT_THAT(stop, StartsWith("T06"));
  EXPECT_EQ(core().registers[0].rip, (*guest_)["after_panic"]);
  EXPECT_EQ(core().registers[0].rip, client_->rip());
}

TEST_F(Core, APlaceThatIsTakenMeanwhileChangesNothingElse) {
  begin_ending("end_triple_fault", Start::WithoutDebug);
  std::ofstream(folder_ + "/core") << "somebody else's";
  guest_->process().write_input("x");
  EXPECT_EQ(guest_->process().await_exit(), kTripleFault);
  EXPECT_THAT(guest_->process().text(Stream::Error),
              HasSubstr("dump: 'core' is there already, and is not a core\n"));
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/core"), 15u);
}

TEST_F(Core, APlaceThatWillNotDoIsToldAtTheStart) {
  const auto refused = [](const std::string& place, const std::string& why) {
    ChildProcess process({RINGSIDE_PROGRAM, "-e", engine(), "--dump-on-panic", place,
                          GuestImage("counters").path()});
    EXPECT_EQ(process.await_exit(), kError);
    EXPECT_EQ(process.text(Stream::Error), "ringside: --dump-on-panic: " + why + "\n");
  };
  std::ofstream(folder_ + "/other") << "somebody else's";
  refused(folder_ + "/other", "'other' is there already, and is not a core");
  refused(folder_,
          "'" + folder_.substr(folder_.rfind('/') + 1) + "' is there already, and is not a core");
  refused(folder_ + "/none/core", "directory '" + folder_ + "/none': No such file or directory");
  refused(folder_ + "/", "a file name is missing");
  refused("/dev/full", "'full' is there already, and is not a core");
  refused("", "'' has no file name");
}

}  // namespace
}  // namespace ringside::testing
