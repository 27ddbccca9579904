// QEMU's machine protocol over the real socket, as drgn and others speak it, alone and beside a
// debugger.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "guests/core/testing/core_file.h"
#include "protocol/qmp_test.h"

namespace ringside::testing {
namespace {

using guests::testing::CoreFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

constexpr int kPowerOff = 1;

// Byte for byte what drgn 0.2 sends to attach to a machine that runs.
TEST_F(Qmp, DrgnsSequence) {
  begin_counting(Start::Running, 2);
  QmpClient qmp = connect();
  EXPECT_THAT(qmp.receive(), StartsWith("{\"QMP\": {\"version\": {\"qemu\": "));
  EXPECT_EQ(qmp.ask("{\"execute\":\"qmp_capabilities\"}\r\n"), kDone);
  EXPECT_EQ(qmp.ask("{\"execute\":\"query-target\"}\r\n"), "{\"return\": {\"arch\": \"x86_64\"}}");
  const std::string tree = qmp.ask(
      "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
      "\"info mtree -f\"}}\r\n");
  EXPECT_THAT(tree, HasSubstr("\\r\\n AS \\\"memory\\\", root: system\\r\\n Root memory region: "
                              "system\\r\\n  0000000000000000-000000000009ffff (prio 0, ram): "
                              "pc.ram\\r\\n  00000000000c0000-0000000001ffffff (prio 0, ram): "
                              "pc.ram\\r\\n"));
  const std::string answer = qmp.ask(
      "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
      "\"gpa2hva 0xc0000\"}}\r\n");
  const std::string start = "{\"return\": \"Host virtual address for 0xc0000 (pc.ram) is 0x";
  ASSERT_THAT(answer, StartsWith(start));
  EXPECT_THAT(answer, ::testing::EndsWith("\\r\\n\"}"));
  const std::uint64_t base = std::stoull(answer.substr(start.size()), nullptr, 16);

  const Fd dump(::memfd_create("drgn-qmp-dump", MFD_CLOEXEC));
  EXPECT_EQ(
      qmp.ask("{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"drgn-dump\"}}\r\n", dump.get()),
      kDone);
  EXPECT_EQ(qmp.ask("{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":false,"
                    "\"protocol\":\"fd:drgn-dump\",\"begin\":0,\"length\":1}}\r\n"),
            kDone);
  const CoreFile core("/proc/self/fd/" + std::to_string(dump.get()));
  EXPECT_EQ(core.registers.size(), 2u);
  ASSERT_EQ(core.loads.size(), 1u);
  EXPECT_EQ(core.loads[0].p_memsz, 1u);
  EXPECT_FALSE(core.vmcoreinfo) << "this guest is no Linux";
  EXPECT_THAT(qmp.ask("{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"drgn-dump\"}}\r\n"),
              HasSubstr("File descriptor named 'drgn-dump' not found"))
      << "the dump has closed it";

  // The guest runs on, and its memory is what a debugger sees in the same moment.
  expect_running(qmp);
  DebugClient debugger = guest_->attach();
  const std::uint64_t counters = (*guest_)["counters"], code = (*guest_)["tick"];
  EXPECT_EQ(read_process(base + counters - 0xc0000, 64), debugger.read(counters, 64));
  EXPECT_EQ(read_process(base + code - 0xc0000, 8), debugger.read(code, 8));
  std::ostringstream line;
  line << "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"xp /1024xb 0x"
       << std::hex << (counters & ~0xfffull) << "\"}}\r\n";
  const std::string shown = qmp.ask(line.str());
  std::string bytes;
  for (std::size_t at = 0; (at = shown.find(" 0x", at)) != std::string::npos; ++at)
    bytes += static_cast<char>(std::stoul(shown.substr(at + 1, 4), nullptr, 16));
  EXPECT_EQ(bytes, debugger.read(counters & ~0xfffull, 1024));
  EXPECT_EQ(qmp.monitor("xp /8xb 0x10000000000"), "0000010000000000: Cannot access memory\r\n");
  EXPECT_EQ(qmp.monitor("xp /8xb 0x0fffffffff0 + 16"),
            "0000010000000000: Cannot access memory\r\n");
  // What is not a matter of memory is said.
  EXPECT_EQ(qmp.monitor("xp /100000xb 0x100000"), "xp: between 1 and 65536 bytes at a time\r\n");
  EXPECT_THAT(qmp.monitor("x /4i 0x100000"), HasSubstr("the debugger's own x /i shows that"));
  EXPECT_THAT(qmp.monitor("xp /4xb nowhere"), HasSubstr("nowhere is not a number"));
  EXPECT_EQ(qmp.monitor("gpa2hva"), "gpa2hva: wants one guest-physical address\r\n");
}

// qmp-shell asks for the commands that it completes, and with -H for the monitor's help.
TEST_F(Qmp, AsQmpShellSpeaks) {
  begin_counting(Start::WithoutDebug, 2);
  QmpClient qmp = connect();
  qmp.receive();
  EXPECT_EQ(qmp.ask("{\"execute\": \"qmp_capabilities\"}"), kDone);
  for (const char* name : {"stop", "cont", "quit", "query-status", "human-monitor-command"})
    EXPECT_THAT(qmp.ask("{\"execute\": \"query-commands\"}"),
                HasSubstr("{\"name\": \"" + std::string(name) + "\"}"));
  EXPECT_EQ(qmp.ask("{\"execute\": \"query-status\", \"arguments\": {}, \"id\": \"a\"}"),
            "{\"return\": {\"status\": \"running\", \"singlestep\": false, \"running\": true}, "
            "\"id\": \"a\"}");
  EXPECT_THAT(qmp.monitor("help"), HasSubstr("info lapic"));
  EXPECT_EQ(qmp.monitor("info status"), "VM status: running\r\n");
  const std::string pid = std::to_string(guest_->process().pid());
  EXPECT_EQ(qmp.monitor("info cpus"),
            "* CPU #0: thread_id=" + pid + "\r\n  CPU #1: thread_id=" + pid + "\r\n");
  EXPECT_EQ(qmp.monitor("stop"), "");
  qmp.await_event("STOP");
  EXPECT_EQ(qmp.monitor("info status"), "VM status: paused\r\n");
  EXPECT_THAT(
      qmp.run("human-monitor-command", "\"command-line\": \"info registers\", \"cpu-index\": 1"),
      HasSubstr("CPU#1\\r\\nRAX="));
  EXPECT_THAT(qmp.monitor("msr efer 0"), HasSubstr("only a debugger (-G) may"));
  EXPECT_EQ(qmp.monitor("cont"), "");
  qmp.await_event("RESUME");
  expect_running(qmp);
  EXPECT_EQ(qmp.monitor("quit"), "");
  EXPECT_EQ(guest_->process().await_exit(), kPowerOff);
}

TEST_F(Qmp, StopAndContWithoutADebugger) {
  begin_counting(Start::WithoutDebug, 4);
  QmpClient qmp = connect();
  qmp.begin();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(qmp.run("stop"), kDone);
    EXPECT_THAT(qmp.take_events(), ElementsAre("STOP"));
    EXPECT_EQ(status(qmp), "paused");
    expect_still(qmp);
    EXPECT_EQ(qmp.run("cont"), kDone);
    EXPECT_THAT(qmp.take_events(), ElementsAre("RESUME"));
    expect_running(qmp);
  }
  EXPECT_EQ(qmp.run("cont"), kDone);
  EXPECT_THAT(qmp.take_events(), IsEmpty());
}

TEST_F(Qmp, ContDoesNotResumeWhatADebuggerHolds) {
  begin_counting(Start::Running);
  QmpClient qmp = connect();
  qmp.begin();
  DebugClient debugger = guest_->attach();
  qmp.await_event("STOP");
  EXPECT_EQ(status(qmp), "debug");
  EXPECT_EQ(qmp.monitor("info status"), "VM status: paused (debug)\r\n");
  for (const char* command : {"cont", "stop", "cont"}) {
    EXPECT_EQ(qmp.run(command), kDone);
    expect_still(qmp);
  }
  EXPECT_THAT(qmp.take_events(), IsEmpty());
  debugger.resume();
  qmp.await_event("RESUME");
  expect_running(qmp);
  debugger.stop();
  qmp.await_event("STOP");
  debugger.detach();
  qmp.await_event("RESUME");
  expect_running(qmp);
}

TEST_F(Qmp, AGuestThatWaitsForItsDebuggerIsTheDebuggers) {
  begin_counting(Start::Held);
  QmpClient qmp = connect();
  qmp.begin();
  EXPECT_EQ(status(qmp), "debug");
  EXPECT_EQ(qmp.run("cont"), kDone);
  EXPECT_EQ(status(qmp), "debug");
  EXPECT_EQ(guest_->process().text(Stream::Output), "");
  DebugClient debugger = guest_->attach();
  debugger.resume();
  qmp.await_event("RESUME");
  guest_->await_said("0");
}

// Whatever the debugger does while the machine is held works, and waits where the guest would run.
TEST_F(Qmp, ADebuggerDoesNotNoticeThatTheGuestIsHeld) {
  begin_counting(Start::Running, 2);
  DebugClient debugger = guest_->attach();
  QmpClient qmp = connect();
  qmp.begin();
  debugger.resume();
  qmp.await_event("RESUME");
  EXPECT_EQ(qmp.run("stop"), kDone);
  EXPECT_EQ(status(qmp), "paused");
  debugger.stop();  // Ctrl-C has its answer
  const std::uint64_t rip = debugger.rip();
  debugger.send("s");
  expect_still(qmp);
  EXPECT_FALSE(wait_readable(debugger.descriptor(), Deadline(kQuiet))) << "the step waits";
  EXPECT_EQ(qmp.run("cont"), kDone);
  EXPECT_EQ(debugger.await_stop().signal, 5u);
  EXPECT_NE(debugger.rip(), rip);
  // And a breakpoint.
  EXPECT_EQ(qmp.run("stop"), kDone);
  debugger.insert((*guest_)["tick"]);
  debugger.resume();
  expect_still(qmp);
  EXPECT_EQ(qmp.run("cont"), kDone);
  EXPECT_EQ(debugger.await_stop().signal, 5u);
  EXPECT_EQ(debugger.rip(), (*guest_)["tick"]);
  // Who goes leaves the guest to who holds it.
  EXPECT_EQ(qmp.run("stop"), kDone);
  debugger.detach();
  expect_still(qmp);
  EXPECT_EQ(status(qmp), "paused");
  EXPECT_EQ(qmp.run("cont"), kDone);
  expect_running(qmp);
}

TEST_F(Qmp, OneClientAtATimeAndWhatItHasDoneStays) {
  begin_counting(Start::WithoutDebug);
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_TRUE(S_ISSOCK(file.st_mode));
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  QmpClient first = connect();
  first.begin();
  QmpClient second = connect();
  second.send("{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}");
  EXPECT_EQ(first.run("stop"), kDone);
  EXPECT_FALSE(second.has_input()) << "it waits";
  first.close();
  EXPECT_THAT(second.receive(), StartsWith("{\"QMP\""));
  EXPECT_EQ(second.receive(), kDone);
  EXPECT_THAT(second.receive(), HasSubstr("\"paused\""));
  expect_still(second);
  EXPECT_EQ(second.run("cont"), kDone);
  expect_running(second);
  EXPECT_EQ(second.run("quit"), kDone);
  EXPECT_THAT(second.take_events(), ElementsAre("RESUME", "SHUTDOWN"));
  second.await_close();
  EXPECT_EQ(guest_->process().await_exit(), kPowerOff);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Qmp, ResetsLikeTheMonitor) {
  begin_counting(Start::WithoutDebug, 2);
  QmpClient qmp = connect();
  qmp.begin();
  EXPECT_EQ(qmp.run("stop"), kDone);
  const std::uint64_t before = count(qmp);
  EXPECT_EQ(qmp.run("system_reset"), kDone);
  EXPECT_THAT(qmp.take_events(), ElementsAre("STOP", "RESET"));
  EXPECT_EQ(count(qmp), 0u) << "loaded anew, from " << before;
  expect_still(qmp);
  EXPECT_EQ(qmp.run("cont"), kDone);
  expect_running(qmp);
  guest_->process().await(Stream::Output, "01");
  // While it runs, too, and beside a debugger whose breakpoint is hit again.
  EXPECT_EQ(qmp.run("system_reset"), kDone);
  expect_running(qmp);
  EXPECT_EQ(qmp.run("system_powerdown"), kDone);
  EXPECT_THAT(qmp.take_events(), ElementsAre("RESUME", "RESET", "POWERDOWN"));
}

TEST_F(Qmp, AResetUnderADebugger) {
  begin_counting(Start::Held);
  DebugClient debugger = guest_->attach();
  QmpClient qmp = connect();
  qmp.begin();
  debugger.run_to((*guest_)["tick"]);
  debugger.step();
  debugger.step();
  ASSERT_NE(count(qmp), 0u);
  EXPECT_EQ(qmp.run("system_reset"), kDone);
  EXPECT_EQ(count(qmp), 0u);
  EXPECT_EQ(status(qmp), "debug") << "it stays stopped";
  debugger.run_to((*guest_)["tick"]);
  EXPECT_EQ(count(qmp), 0u) << "from the start";
  // While the debugger has let it run.
  debugger.insert((*guest_)["main"]);
  debugger.resume();
  EXPECT_EQ(qmp.run("system_reset"), kDone);
  EXPECT_EQ(debugger.await_stop().signal, 5u);
  EXPECT_EQ(debugger.rip(), (*guest_)["main"]);
}

TEST_F(Qmp, DumpsAndSavesIntoTheDirectoryOfFiles) {
  begin_counting(Start::WithoutDebug, 2);
  QmpClient qmp = connect();
  qmp.begin();
  EXPECT_EQ(qmp.run("dump-guest-memory", "\"paging\": false, \"protocol\": \"file:flat\""), kDone);
  EXPECT_THAT(qmp.take_events(), ElementsAre("STOP", "DUMP_COMPLETED", "RESUME"));
  EXPECT_THAT(qmp.run("query-dump"), HasSubstr("\"completed\": 33423360"));
  EXPECT_EQ(qmp.run("stop"), kDone);
  EXPECT_EQ(qmp.run("dump-guest-memory", "\"paging\": true, \"protocol\": \"file:core\""), kDone);
  EXPECT_EQ(qmp.run("dump-guest-memory",
                    "\"paging\": false, \"protocol\": \"file:flat\", \"detach\": true"),
            kDone);
  qmp.await_event("STOP");
  qmp.await_event("DUMP_COMPLETED");
  qmp.await_event("DUMP_COMPLETED");
  EXPECT_EQ(status(qmp), "paused") << "a dump does not let go what was stopped";
  const std::uint64_t counters = (*guest_)["counters"];
  std::ostringstream range;
  range << "\"val\": " << counters << ", \"size\": 5000, \"filename\": ";
  EXPECT_EQ(qmp.run("pmemsave", range.str() + "\"physical\""), kDone);
  EXPECT_EQ(qmp.run("memsave", range.str() + "\"linear\", \"cpu-index\": 1"), kDone);
  const CoreFile core(folder_ / "core"), flat(folder_ / "flat");
  for (const CoreFile* file : {&core, &flat}) {
    EXPECT_EQ(file->mode, 0600u);
    EXPECT_EQ(file->registers.size(), 2u);
  }
  const std::string memory = flat.physical(counters, 5000).value();
  EXPECT_EQ(core.linear(counters, 5000), memory);
  for (const char* name : {"physical", "linear"}) {
    std::ifstream file(folder_ / name, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), memory) << name;
  }
  for (const char* name :
       {"file:../core", "file:/tmp/core", "file:", "file:qmp", "file:physical"}) {
    EXPECT_THAT(qmp.run("dump-guest-memory",
                        "\"paging\": false, \"protocol\": \"" + std::string(name) + "\""),
                HasSubstr("GenericError"))
        << name;
  }
  EXPECT_THAT(qmp.run("pmemsave", range.str() + "\"physical\""),
              HasSubstr("'physical' is there already, and what is saved of memory goes under a new "
                        "name, because no file can be told from it"));
  EXPECT_THAT(qmp.run("pmemsave", "\"val\": 655360, \"size\": 1, \"filename\": \"hole\""),
              HasSubstr("Invalid addr 0x00000000000a0000/size 1 specified"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "hole"));
}

// A pipe that nobody empties holds up the guest, and nobody else.
TEST_F(Qmp, ADumpIntoAPipe) {
  begin_counting(Start::Running);
  QmpClient qmp = connect();
  qmp.begin();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  EXPECT_EQ(qmp.run("getfd", "\"fdname\": \"pipe\"", writer.get()), kDone);
  writer.reset();
  EXPECT_EQ(qmp.run("dump-guest-memory",
                    "\"paging\": false, \"protocol\": \"fd:pipe\", \"detach\": true"),
            kDone);
  qmp.await_event("STOP");
  EXPECT_EQ(status(qmp), "save-vm");
  expect_still(qmp);
  EXPECT_THAT(qmp.run("cont"), HasSubstr("There is a dump in process, please wait."));
  DebugClient debugger = guest_->attach();
  EXPECT_EQ(debugger.read((*guest_)["tick"], 1).size(), 1u);
  debugger.detach();
  std::string all;
  for (char buffer[65536];;) {
    const ssize_t count = ::read(reader.get(), buffer, sizeof buffer);
    ASSERT_GE(count, 0);
    if (count == 0) break;
    all.append(buffer, static_cast<std::size_t>(count));
  }
  std::ofstream(folder_ / "copy", std::ios::binary) << all;
  EXPECT_TRUE(CoreFile(folder_ / "copy").physical((*guest_)["counters"], 8));
  qmp.await_event("DUMP_COMPLETED");
  qmp.await_event("RESUME");
  expect_running(qmp);
  // One whose other end is closed is an error.
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::close(ends[0]);
  writer.reset(ends[1]);
  EXPECT_EQ(qmp.run("getfd", "\"fdname\": \"pipe\"", writer.get()), kDone);
  EXPECT_THAT(qmp.run("dump-guest-memory", "\"paging\": false, \"protocol\": \"fd:pipe\""),
              HasSubstr("the dump cannot be written"));
  EXPECT_THAT(qmp.run("query-dump"), HasSubstr("\"failed\""));
  expect_running(qmp);
}

TEST_F(Qmp, AClientThatGoesInTheMidstOfEverything) {
  begin_counting(Start::WithoutDebug, 2);
  const char* const kBegun[] = {
      "",
      "{",
      "\"",
      "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"stop\"}{\"execute\":\"cont\"}",
      "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"system_reset\"}",
      "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"human-monitor-command\",\"arguments\":"
      "{\"command-line\":\"info registers\"}}",
      "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"dump-guest-memory\",\"arguments\":"
      "{\"paging\":false,\"protocol\":\"file:left\"}}"};
  for (int round = 0; round < 5; ++round) {
    for (const char* bytes : kBegun) {
      QmpClient client = connect();
      client.send(bytes, round % 2 == 0 && *bytes != '\0' ? client.descriptor() : -1);
    }
  }
  QmpClient qmp = connect();
  qmp.begin();
  // A dump is finished though nobody waits for it, and who has gone after a stop has left that.
  for (const Deadline deadline; qmp.run("cont") != kDone;)
    ASSERT_FALSE(deadline.passed());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "left"));
  expect_running(qmp);
}

TEST_F(Qmp, GarbageIsAnsweredAndTheConnectionGoesOn) {
  begin_counting(Start::WithoutDebug);
  QmpClient qmp = connect();
  qmp.begin();
  std::mt19937 random(5);
  const std::string_view alphabet = "{}[]:,\"'\\aexcut 0-9.\n\xff\x01true";
  for (int round = 0; round < 50; ++round) {
    std::string bytes(random() % 500, ' ');
    for (char& c : bytes)
      c = alphabet[random() % alphabet.size()];
    qmp.send(bytes);
    // The known-good state, and a request with a mark.
    const std::string mark = std::to_string(round);
    qmp.send("\xff{\"execute\": \"query-name\", \"id\": \"" + mark + "\"}");
    for (std::string line; line != "{\"return\": {}, \"id\": \"" + mark + "\"}";) {
      line = qmp.receive();
      EXPECT_THAT(line, ::testing::AnyOf(HasSubstr("\"error\": "), HasSubstr("\"id\": ")));
    }
  }
  expect_running(qmp);
}

TEST_F(Qmp, TheEndIsTold) {
  const struct {
    const char* guest;
    const char* reason;
  } ends[] = {{"end_power_off", "guest-shutdown"},
              {"end_reboot", "guest-reset"},
              {"end_triple_fault", "guest-reset"},
              {"counters", "host-signal"}};
  for (const auto& [name, reason] : ends) {
    const bool by_guest = std::string_view(name) != "counters";
    begin(name, {.start = Start::WithoutDebug});
    guest_->await_said(by_guest ? "r" : "0");
    QmpClient qmp = connect();
    qmp.begin();
    if (by_guest) {
      guest_->process().write_input("x");
    } else {
      guest_->process().kill(SIGTERM);
    }
    EXPECT_THAT(qmp.receive(),
                HasSubstr(std::string("\"event\": \"SHUTDOWN\", \"data\": {\"guest\": ") +
                          (by_guest ? "true" : "false") + ", \"reason\": \"" + reason + "\"}"));
    qmp.await_close();
    guest_.reset();
  }
}

// The state of the "interrupts" guest at its n-th timer interrupt, with a machine protocol's client
// that stops and continues it at any moment.
TEST_F(Qmp, StoppingAndContinuingChangesNothing) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  std::string hashes[2];
  for (const bool meddles : {false, true}) {
    begin("interrupts");
    QmpClient qmp = connect();
    qmp.begin();
    DebugClient debugger = guest_->attach();
    std::mt19937 random(3);
    debugger.insert((*guest_)["handler"]);
    for (int i = 0; i < 40; ++i) {
      debugger.resume();
      for (unsigned n = meddles ? random() % 4 : 0; n > 0; --n) {
        EXPECT_EQ(qmp.run("stop"), kDone);
        if (random() % 2 == 0) qmp.monitor("info registers");
        EXPECT_EQ(qmp.run("cont"), kDone);
      }
      debugger.await_stop();
    }
    hashes[meddles ? 1 : 0] = monitor(debugger, "hash");
    guest_.reset();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST_F(Qmp, IsInTheJournal) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU has journals";
  const std::string journal = folder_ / "journal";
  begin("interrupts",
        {.cpus = 2, .start = Start::WithoutDebug, .arguments = {"--record", journal}});
  guest_->await_said("r");
  {
    QmpClient qmp = connect();
    qmp.begin();
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(qmp.run("stop"), kDone);
      if (i == 5) {
        EXPECT_EQ(qmp.run("system_reset"), kDone);
      }
      EXPECT_EQ(qmp.run("cont"), kDone);
      qmp.run("system_powerdown");
    }
    guest_->process().await(Stream::Output, "rr");
    EXPECT_EQ(qmp.run("quit"), kDone);
  }
  const std::string recorded = guest_->process().await_line(Stream::Error, "state: ");
  EXPECT_EQ(guest_->process().await_exit(), kPowerOff);
  guest_.reset();
  // Held by the debugger until the client is there, because a replay may be over in no time.
  begin("interrupts", {.cpus = 2, .arguments = {"--replay", journal}});
  QmpClient qmp = connect();
  qmp.begin();
  EXPECT_EQ(qmp.run("stop"), kDone);
  guest_->attach().detach();
  EXPECT_EQ(qmp.run("cont"), kDone);
  EXPECT_EQ(guest_->process().await_line(Stream::Error, "state: "), recorded);
  EXPECT_EQ(guest_->process().await_exit(), kPowerOff);
}

}  // namespace
}  // namespace ringside::testing
