#include "qmp/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qmp/testing/fake_machine.h"

namespace ringside::qmp {
namespace {

using ::testing::ElementsAre;
using testing::FakeMachine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::string kDone = "{\"return\": {}}\r\n";

std::string error(const std::string& kind, const std::string& text) {
  return "{\"error\": {\"class\": \"" + kind + "\", \"desc\": \"" + text + "\"}}\r\n";
}
std::string generic(const std::string& text) { return error("GenericError", text); }

class SessionTest : public ::testing::Test {
 protected:
  std::string take() {
    std::string said(session.output());
    session.wrote(said.size());
    return said;
  }
  std::string ask(std::string_view bytes) {
    session.on_bytes(bytes);
    session.work();
    return take();
  }
  // As qmp-shell and drgn begin.
  void begin() {
    take();
    EXPECT_EQ(ask("{\"execute\": \"qmp_capabilities\"}\r\n"), kDone);
  }
  std::string run(const std::string& command, const std::string& arguments = "") {
    std::string line = "{\"execute\": \"" + command + "\"";
    if (!arguments.empty()) line += ", \"arguments\": {" + arguments + "}";
    return ask(line + "}");
  }

  FakeMachine machine;
  Session session{machine, [] { return Moment{5, 7}; }};
};

TEST_F(SessionTest, GreetsAndWantsToAgreeFirst) {
  EXPECT_EQ(take(),
            "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, "
            "\"package\": \"fake 1\"}, \"capabilities\": []}}\r\n");
  const std::string first =
      error("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
  EXPECT_EQ(run("query-status"), first);
  EXPECT_EQ(run("nosuch"), first);
  EXPECT_EQ(run("qmp_capabilities", "\"enable\": [\"oob\"]"),
            generic("Capability 'oob' not available"));
  EXPECT_EQ(run("qmp_capabilities", "\"enable\": [5]"),
            generic("Invalid parameter type for 'enable', expected: string"));
  EXPECT_EQ(run("qmp_capabilities", "\"enable\": []"), kDone);
  EXPECT_EQ(
      run("qmp_capabilities"),
      error("CommandNotFound", "Capabilities negotiation is already complete, command ignored"));
}

TEST_F(SessionTest, TheIdComesBackWhateverItIs) {
  begin();
  EXPECT_EQ(ask("{'execute': 'query-name', 'id': {'a': [1, null, 'x']}}"),
            "{\"return\": {}, \"id\": {\"a\": [1, null, \"x\"]}}\r\n");
  EXPECT_EQ(
      ask("{\"id\": 5, \"execute\": \"nosuch\"}"),
      "{\"id\": 5, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command nosuch "
      "has not been found\"}}\r\n");
  EXPECT_THAT(ask("{\"id\": 1}"), StartsWith("{\"id\": 1, \"error\": "));
  EXPECT_EQ(run("query-name"), kDone) << "and only once";
}

// Every one is answered, changes nothing, and the next request is served.
TEST_F(SessionTest, BadRequestsAreErrors) {
  begin();
  const std::string line = "\"command-line\": \"x\"", dump = "\"protocol\": \"file:x\", ";
  const struct {
    std::string request, answer;
  } cases[] = {
      {"[]", "QMP input must be a JSON object"},
      {"\"execute\"", "QMP input must be a JSON object"},
      {"{\"execute\": 1}", "QMP input member 'execute' must be a string"},
      {"{}", "QMP input lacks member 'execute'"},
      {"{\"execute\": \"stop\", \"arguments\": []}",
       "QMP input member 'arguments' must be an object"},
      {"{\"execute\": \"stop\", \"x\": 1}", "QMP input member 'x' is unexpected"},
      {"{\"exec-oob\": \"stop\"}", "QMP input member 'exec-oob' is unexpected"},
      {"{\"execute\": \"stop\", \"execute\": \"stop\"}", "JSON parse error, duplicate key"},
      {"{\"execute\": \"stop\", \"arguments\": {\"x\": 1}}", "Parameter 'x' is unexpected"},
      {"{\"execute\": \"human-monitor-command\"}", "Parameter 'command-line' is missing"},
      {"{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": 1}}",
       "Invalid parameter type for 'command-line', expected: string"},
      {"{\"execute\": \"human-monitor-command\", \"arguments\": {" + line + ", \"cpu-index\": 2}}",
       "Parameter 'cpu-index' expects a CPU number"},
      {"{\"execute\": \"human-monitor-command\", \"arguments\": {" + line + ", \"cpu-index\": -1}}",
       "Parameter 'cpu-index' expects a CPU number"},
      {"{\"execute\": \"human-monitor-command\", \"arguments\": {" + line +
           ", \"cpu-index\": 1.5}}",
       "Invalid parameter type for 'cpu-index', expected: integer"},
      {"{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"a\"}}",
       "No file descriptor supplied via SCM_RIGHTS"},
      {"{\"execute\": \"closefd\", \"arguments\": {\"fdname\": \"a\"}}",
       "File descriptor named 'a' not found"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"protocol\": \"file:x\"}}",
       "Parameter 'paging' is missing"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump + "\"paging\": 1}}",
       "Invalid parameter type for 'paging', expected: boolean"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump +
           "\"paging\": false, \"begin\": 1}}",
       "Parameter 'length' is missing"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump +
           "\"paging\": false, \"length\": 1}}",
       "Parameter 'begin' is missing"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump +
           "\"paging\": false, \"begin\": -1, \"length\": 1}}",
       "Invalid parameter 'begin'"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump +
           "\"paging\": false, \"begin\": 0, \"length\": 0}}",
       "Invalid parameter 'length'"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {" + dump +
           "\"paging\": false, \"format\": \"kdump-zlib\"}}",
       "Parameter 'format' does not accept value 'kdump-zlib'"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": "
       "\"tcp:x\"}}",
       "Invalid parameter 'protocol'"},
      {"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": "
       "\"fd:x\"}}",
       "File descriptor named 'x' has not been found"},
  };
  for (const auto& [request, answer] : cases) {
    EXPECT_EQ(ask(request), generic(answer)) << request;
    EXPECT_EQ(run("query-name"), kDone) << request;
  }
  EXPECT_THAT(machine.happened, IsEmpty());
}

TEST_F(SessionTest, WhatIsNoJsonIsOneErrorAndTheNextRequestIsServed) {
  begin();
  for (const char* bytes : {"}", "{\"execute\" \"stop\"}", "[1,]", "{\"execute\": \"stop\",}",
                            "{\"execute\": \"stop\"]", "{\"a\": foo}", "01 ", "1. ", "\"\\q\"",
                            "\"\\ud800\"", "\"\xc0\xaf\"", "[1e999]", "{1: 2}",
                            "{\"execute\": \"stop\"\x02", "\xff", "{\"execute\": \"stop\xff"}) {
    const std::string answer = ask(bytes);
    EXPECT_THAT(answer, StartsWith("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON "))
        << bytes;
    EXPECT_EQ(answer.find('\n'), answer.size() - 1) << bytes << answer;
    EXPECT_EQ(run("query-name"), kDone) << bytes;
  }
  EXPECT_THAT(machine.happened, IsEmpty());
}

TEST_F(SessionTest, Queries) {
  begin();
  EXPECT_EQ(run("query-target"), "{\"return\": {\"arch\": \"x86_64\"}}\r\n");
  EXPECT_EQ(run("query-kvm"), "{\"return\": {\"enabled\": false, \"present\": true}}\r\n");
  EXPECT_EQ(
      run("query-status"),
      "{\"return\": {\"status\": \"running\", \"singlestep\": false, \"running\": true}}\r\n");
  EXPECT_EQ(run("query-dump"),
            "{\"return\": {\"total\": 0, \"status\": \"none\", \"completed\": 0}}\r\n");
  EXPECT_EQ(run("query-dump-guest-memory-capability"),
            "{\"return\": {\"formats\": [\"elf\"]}}\r\n");
  EXPECT_THAT(run("query-version"), HasSubstr("\"major\": 7"));
  EXPECT_THAT(run("query-cpus-fast"),
              HasSubstr("{\"thread-id\": 101, \"props\": {\"core-id\": 1, \"thread-id\": 0, "
                        "\"socket-id\": 0}, \"qom-path\": \"/machine/unattached/device[1]\", "
                        "\"cpu-index\": 1, \"target\": \"x86_64\"}"));
  for (const std::string_view name : Commands::names())
    EXPECT_THAT(run("query-commands"), HasSubstr("{\"name\": \"" + std::string(name) + "\"}"));
}

// In the order of QEMU: first what has happened, then the answer.
TEST_F(SessionTest, TellsThatTheGuestStopsAndRuns) {
  begin();
  const std::string when = "{\"timestamp\": {\"seconds\": 5, \"microseconds\": 7}, ";
  EXPECT_EQ(run("stop"), when + "\"event\": \"STOP\"}\r\n" + kDone);
  EXPECT_EQ(run("stop"), kDone);
  EXPECT_THAT(run("query-status"), HasSubstr("\"paused\""));
  machine.debugger_holds = true;
  EXPECT_EQ(run("cont"), kDone) << "it does not run";
  EXPECT_THAT(run("query-status"), HasSubstr("\"debug\""));
  machine.debugger_holds = false;
  session.work();
  EXPECT_EQ(take(), when + "\"event\": \"RESUME\"}\r\n");
}

TEST_F(SessionTest, SaysNothingOfEventsBeforeItHasAgreed) {
  take();
  machine.is_stopped = true;
  session.tell(Reset{});
  session.work();
  EXPECT_EQ(take(), "");
  EXPECT_EQ(run("qmp_capabilities"), kDone) << "and what was so then is no event";
  session.tell(Reset{});
  EXPECT_THAT(take(), HasSubstr("\"event\": \"RESET\", \"data\": {\"guest\": false, "
                                "\"reason\": \"host-qmp-system-reset\"}"));
  session.tell(Shutdown{true, "guest-shutdown"});
  EXPECT_THAT(take(), HasSubstr("\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
                                "\"reason\": \"guest-shutdown\"}"));
  session.tell(DumpCompleted{{DumpState::Status::Failed, 1, 2}, "no room"});
  EXPECT_THAT(take(), HasSubstr("\"data\": {\"result\": {\"total\": 2, \"status\": \"failed\", "
                                "\"completed\": 1}, \"error\": \"no room\"}"));
}

TEST_F(SessionTest, OneRequestAfterTheOther) {
  begin();
  machine.takes_time = true;
  EXPECT_EQ(run("human-monitor-command", "\"command-line\": \"info status\""), "");
  EXPECT_EQ(run("cont"), "");
  EXPECT_THAT(machine.happened, ElementsAre("monitor info status on 0"));
  machine.takes_time = false;
  session.work();
  EXPECT_EQ(take(), "{\"return\": \"said: info status\\r\\n\"}\r\n" + kDone);
  EXPECT_THAT(machine.happened, ElementsAre("monitor info status on 0", "cont"));
  machine.fails = "no \"such\" thing";
  EXPECT_EQ(run("system_reset"), generic("no \\\"such\\\" thing"));
}

// Who sleeps is not stopped.
TEST_F(SessionTest, AGuestThatSleepsIsSuspended) {
  begin();
  machine.sleeps = true;
  session.tell(Suspend{});
  EXPECT_THAT(take(), ::testing::HasSubstr("\"event\": \"SUSPEND\""));
  EXPECT_THAT(run("query-status"),
              ::testing::AllOf(::testing::HasSubstr("\"status\": \"suspended\""),
                               ::testing::HasSubstr("\"running\": false")));
  EXPECT_EQ(run("system_wakeup"), kDone);
  EXPECT_EQ(machine.happened.back(), "wake up");
  machine.sleeps = false;
  session.tell(WakeUp{});
  session.work();
  const std::string said = take();
  EXPECT_THAT(said, ::testing::HasSubstr("\"event\": \"WAKEUP\""));
  EXPECT_THAT(said, ::testing::Not(::testing::HasSubstr("RESUME")));
}

TEST_F(SessionTest, DescriptorsComeWithTheirRequest) {
  begin();
  const auto pipe_end = [](Fd& other) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    other.reset(ends[0]);
    std::vector<Fd> descriptors;
    descriptors.emplace_back(ends[1]);
    return descriptors;
  };
  const auto node_of = [](int fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status.st_ino;
  };
  Fd first, second, unasked;
  machine.takes_time = true;  // so that three requests wait, each with its own
  EXPECT_EQ(run("system_powerdown"), "");
  session.on_descriptors(pipe_end(first));
  EXPECT_EQ(run("getfd", "\"fdname\": \"a\""), "");
  session.on_descriptors(pipe_end(unasked));
  EXPECT_EQ(run("query-name"), "");
  session.on_descriptors(pipe_end(second));
  EXPECT_EQ(run("getfd", "\"fdname\": \"b\""), "");
  machine.takes_time = false;
  session.work();
  EXPECT_THAT(take(), ::testing::EndsWith(kDone + kDone + kDone + kDone));
  char byte = 0;
  EXPECT_EQ(::read(unasked.get(), &byte, 1), 0) << "closed, as nobody has asked for it";
  EXPECT_EQ(run("closefd", "\"fdname\": \"a\""), kDone);
  EXPECT_EQ(::read(first.get(), &byte, 1), 0) << "closed";
  const std::string dump =
      "\"paging\": false, \"protocol\": \"fd:b\", \"begin\": 4096, \"length\": 1";
  EXPECT_EQ(run("dump-guest-memory", dump), kDone);
  EXPECT_EQ(machine.happened.back(), "dump 4096+1");
  EXPECT_EQ(node_of(machine.received.get()), node_of(second.get()));
  EXPECT_EQ(run("closefd", "\"fdname\": \"b\""), generic("File descriptor named 'b' not found"))
      << "it is the dump's";
  session.on_descriptors(pipe_end(first));
  EXPECT_EQ(run("getfd", "\"fdname\": \"1a\""),
            generic("Parameter 'fdname' expects a name not starting with a digit"));
}

TEST_F(SessionTest, DumpsAndSaves) {
  begin();
  EXPECT_EQ(run("dump-guest-memory", "\"paging\": true, \"protocol\": \"file:core\""), kDone);
  EXPECT_EQ(run("pmemsave", "\"val\": 4096, \"size\": 10, \"filename\": \"p\""), kDone);
  EXPECT_EQ(run("memsave", "\"val\": 1, \"size\": 2, \"filename\": \"m\", \"cpu-index\": 1"),
            kDone);
  machine.takes_time = true;
  EXPECT_EQ(
      run("dump-guest-memory", "\"paging\": false, \"protocol\": \"file:c\", \"detach\": true"),
      kDone);
  machine.dump_now.status = DumpState::Status::Active;
  for (const char* command : {"cont", "dump-guest-memory", "pmemsave"}) {
    const std::string arguments = std::string(command) == "cont" ? ""
                                  : std::string(command) == "pmemsave"
                                      ? "\"val\": 1, \"size\": 1, \"filename\": \"x\""
                                      : "\"paging\": false, \"protocol\": \"file:c\"";
    EXPECT_EQ(run(command, arguments), generic("There is a dump in process, please wait."))
        << command;
  }
  EXPECT_THAT(machine.happened, ElementsAre("dump linear to core", "save 4096+10 to p",
                                            "save 1+2 of vCPU 1 to m", "dump to c"));
}

// Who sends and never reads costs a bounded amount of memory.
TEST_F(SessionTest, WhoDoesNotReadIsNotServed) {
  std::size_t sent = 0;
  const std::string many(4096, '}');
  while (session.room() >= many.size()) {
    session.on_bytes(many);
    session.work();
    sent += many.size();
    ASSERT_LT(sent, 64u << 20);
  }
  EXPECT_LT(session.output().size(), 2u << 20);
  EXPECT_FALSE(session.has_work());
  const std::size_t most = session.output().size();
  for (int i = 0; i < 1000; ++i)
    session.work();
  EXPECT_EQ(session.output().size(), most);
  take();
  EXPECT_TRUE(session.has_work());
}

}  // namespace
}  // namespace ringside::qmp
