// Sessions of the front ends that drive GDB by its machine interface, with the commands that their
// public sources and their users' logs have: what each sets, how it connects, and what it asks at
// every stop. Both with asynchronous commands and without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "gdb/gdb_session.h"
#include "gdb/mi_session.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

enum class Commands { Async, Sync };

class Mi : public ::testing::TestWithParam<Commands> {
 protected:
  void SetUp() override {
    static const std::string missing = GdbSession::missing();
    SKIP_IF(missing);
  }
  bool async() const { return GetParam() == Commands::Async; }
  void begin(std::string_view version) {
    guest_.emplace("demo", GuestOptions{.cpus = 2, .start = GuestOptions::Start::Running});
    mi_.emplace(version, guest_->image().path());
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(guest_->port()); }
  std::string ask(std::string_view command) { return mi_->ask(command); }
  void done(std::string_view command) { EXPECT_THAT(ask(command), StartsWith("^done")) << command; }
  // A command that lets the guest run, and the stop that ends it.
  std::string run(std::string_view command) {
    EXPECT_EQ(ask(command), "^running") << command;
    return mi_->await_stop();
  }
  // As the front end does: a command where GDB takes any meanwhile, else a signal. Where GDB begins
  // with a step over the breakpoint that a vCPU stands on, an interrupt that crosses the end of
  // that step on its way finds the guest stopped, and has no effect (docs/model.md, row 12). A
  // person is not as quick as this test, and presses pause again.
  std::string interrupt(std::string_view command) {
    // A guest that prints stands while nobody reads GDB's output.
    if (prints_) {
      mi_->await_printed();
    } else {
      guest_->process().await_busy();
    }
    for (int tries = 1;; ++tries) {
      if (async()) {
        done(command);
      } else {
        mi_->interrupt();
      }
      try {
        return mi_->await_stop(Deadline(std::chrono::seconds(5)));
      } catch (const std::runtime_error&) {
        if (tries == 4) throw;
      }
    }
  }
  static std::string thread_of(const std::string& stop) {
    const std::size_t at = stop.find("thread-id=\"") + 11;
    return stop.substr(at, stop.find('"', at) - at);
  }

  bool prints_ = false;
  std::optional<GuestProcess> guest_;
  std::optional<MiSession> mi_;
};

// Visual Studio Code's C/C++ extension and Visual Studio (MIEngine).
TEST_P(Mi, VisualStudioCode) {
  begin("mi");
  done(async() ? "-gdb-set target-async on" : "-gdb-set target-async off");
  done("-enable-pretty-printing");
  done("-interpreter-exec console \"set pagination off\"");
  done("-file-exec-and-symbols " + guest_->image().path());
  ask("-gdb-set auto-solib-add on");
  done("-gdb-set solib-search-path /tmp");
  EXPECT_THAT(ask("-target-select remote " + target()), StartsWith("^connected"));
  EXPECT_THAT(mi_->await_stop(), HasSubstr("stopped-threads=\"all\""));
  ask("-interpreter-exec console \"info sharedlibrary\"");
  EXPECT_THAT(ask("-break-insert -f look_at"), HasSubstr("type=\"breakpoint\""));
  const std::string hit = run("-exec-continue");
  EXPECT_THAT(hit, HasSubstr("reason=\"breakpoint-hit\""));
  EXPECT_THAT(hit, HasSubstr("func=\"look_at\""));
  const std::string thread = thread_of(hit);
  EXPECT_THAT(ask("-thread-info"), ContainsRegex("name=\"vCPU 0\".*name=\"vCPU 1\""));
  done("-thread-select " + thread);
  EXPECT_THAT(ask("-stack-list-frames 0 1000"), ContainsRegex("func=\"look_at\".*func=\"work\""));
  EXPECT_THAT(ask("-stack-list-arguments 0 0 2"), HasSubstr("name=\"worker\""));
  EXPECT_THAT(ask("-stack-list-variables 0"), HasSubstr("name=\"number\""));
  EXPECT_THAT(ask("-var-create --thread " + thread + " --frame 0 - * \"worker\""),
              HasSubstr("numchild=\"4\""));
  EXPECT_THAT(ask("-var-list-children --simple-values \"var1\" 0 1000"), HasSubstr("exp=\"name\""));
  EXPECT_THAT(ask("-data-evaluate-expression \"worker->numbers + 1\""), HasSubstr("value="));
  EXPECT_THAT(ask("-data-read-memory-bytes $sp 64"), HasSubstr("contents=\""));
  EXPECT_THAT(ask("-data-disassemble -s $pc -e \"$pc + 16\" -- 2"), HasSubstr("opcodes="));
  done("-break-delete 1");
  EXPECT_THAT(run("-exec-next"), HasSubstr("reason=\"end-stepping-range\""));
  EXPECT_THAT(run("-exec-step"), HasSubstr("func=\"is_prime\""));
  EXPECT_THAT(run("-exec-finish"), HasSubstr("reason=\"function-finished\""));
  EXPECT_THAT(ask("-var-delete var1"), StartsWith("^done"));
  // A conditional breakpoint, and one that is set while the guest is paused for it.
  EXPECT_THAT(ask("-break-insert -f -c \"number % 1000 == 0\" is_prime"), HasSubstr("cond="));
  EXPECT_THAT(run("-exec-continue"), ContainsRegex("args=\\[.*value=\"[0-9]*000\""));
  done("-break-delete 2");
  EXPECT_EQ(ask("-exec-continue"), "^running");
  EXPECT_THAT(interrupt("-exec-interrupt"), HasSubstr("signal-name=\"SIGINT\""));
  done("-target-detach");
  EXPECT_TRUE(guest_->running());
}

// Eclipse's C/C++ tools (DSF).
TEST_P(Mi, Eclipse) {
  begin("mi2");
  done("-gdb-version");
  done("-environment-cd /tmp");
  done("-gdb-set breakpoint pending on");
  done("-enable-pretty-printing");
  done("-gdb-set python print-stack none");
  done("-gdb-set print object on");
  done("-gdb-set print sevenbit-strings on");
  done("-gdb-set host-charset UTF-8");
  done("-gdb-set target-charset UTF-8");
  done("-gdb-set target-wide-charset UTF-32");
  done("-gdb-set dprintf-style gdb");
  done(async() ? "-gdb-set mi-async on" : "-gdb-set mi-async off");
  done("-gdb-set non-stop off");
  done("-gdb-set auto-solib-add on");
  done("-file-exec-and-symbols --thread-group i1 " + guest_->image().path());
  EXPECT_THAT(ask("-target-select remote " + target()), StartsWith("^connected"));
  mi_->await_stop();
  EXPECT_THAT(ask("-list-thread-groups"), HasSubstr("id=\"i1\",type=\"process\",pid=\"1\""));
  EXPECT_THAT(ask("-list-thread-groups i1"), ContainsRegex("vCPU 0.*vCPU 1"));
  done("-break-insert -f look_at");
  const std::string hit = run("-exec-continue --thread-group i1");
  EXPECT_THAT(hit, HasSubstr("bkptno=\"1\""));
  const std::string thread = thread_of(hit), of_thread = " --thread " + thread;
  EXPECT_THAT(ask("-thread-info " + thread), HasSubstr("state=\"stopped\""));
  EXPECT_THAT(ask("-stack-info-depth" + of_thread + " 11"), HasSubstr("depth=\""));
  EXPECT_THAT(ask("-stack-list-frames" + of_thread + " 0 3"), HasSubstr("func=\"vcpu_main\""));
  EXPECT_THAT(ask("-stack-list-locals" + of_thread + " --frame 0 1"), HasSubstr("name=\"found\""));
  EXPECT_THAT(ask("-stack-list-arguments" + of_thread + " 1 0 0"), HasSubstr("name=\"worker\""));
  EXPECT_THAT(ask("-var-create" + of_thread + " --frame 0 - * worker"), HasSubstr("\"var1\""));
  EXPECT_THAT(ask("-var-list-children var1"), HasSubstr("exp=\"primes\""));
  EXPECT_THAT(ask("-var-evaluate-expression -f natural var1.numbers"), HasSubstr("value="));
  EXPECT_THAT(ask("-data-list-register-names"), HasSubstr("\"cr3\""));
  EXPECT_THAT(ask("-data-list-register-values" + of_thread + " --frame 0 x 16 17"),
              HasSubstr("number=\"16\""));
  EXPECT_THAT(ask("-data-read-memory-bytes" + of_thread + " &workers 128"),
              HasSubstr("contents=\""));
  done("-break-delete 1");
  EXPECT_THAT(run("-exec-next" + of_thread + " 1"), HasSubstr("reason=\"end-stepping-range\""));
  EXPECT_THAT(ask("-var-update 1 var1"), HasSubstr("changelist="));
  EXPECT_THAT(run("-exec-step" + of_thread + " 1"), HasSubstr("func=\"is_prime\""));
  EXPECT_THAT(run("-exec-finish" + of_thread + " --frame 0"), HasSubstr("function-finished"));
  EXPECT_THAT(run("-exec-step-instruction" + of_thread + " 1"), HasSubstr("end-stepping-range"));
  EXPECT_THAT(ask("-break-watch workers[0].numbers"), HasSubstr("wpt={number=\"2\""));
  EXPECT_THAT(run("-exec-continue --thread-group i1"), HasSubstr("watchpoint-trigger"));
  done("-break-delete 2");
  EXPECT_EQ(ask("-exec-continue --thread-group i1"), "^running");
  EXPECT_THAT(interrupt("-exec-interrupt --thread-group i1"), HasSubstr("SIGINT"));
  done("-target-detach --thread-group i1");
  EXPECT_TRUE(guest_->running());
}

// CLion's "Remote Debug", whose driver is not public: what its users' logs show, which is console
// commands for the connection, and threads and frames named in each request.
TEST_P(Mi, Clion) {
  begin("mi2");
  done("-gdb-set auto-load safe-path /tmp");
  done(async() ? "-gdb-set mi-async on" : "-gdb-set mi-async off");
  done("-gdb-set charset UTF-8");
  done("-gdb-set width 0");
  done("-interpreter-exec console \"set breakpoint pending on\"");
  done("-interpreter-exec console \"target remote " + target() + "\"");
  mi_->await_stop();
  EXPECT_THAT(ask("-list-features"), HasSubstr("thread-info"));
  EXPECT_THAT(ask("-list-target-features"), HasSubstr(async() ? "\"async\"" : "features=["));
  EXPECT_THAT(ask("-break-insert -f --source tests/guests/demo.c --line 26"),
              HasSubstr("line=\"26\""));
  const std::string hit = run("-exec-continue --all");
  EXPECT_THAT(hit, HasSubstr("line=\"26\""));
  const std::string of_frame = " --thread " + thread_of(hit) + " --frame 0";
  EXPECT_THAT(ask("-thread-info"), HasSubstr("vCPU 1"));
  EXPECT_THAT(ask("-stack-list-frames --thread " + thread_of(hit) + " 0 19"),
              HasSubstr("level=\"3\""));
  EXPECT_THAT(ask("-stack-list-variables" + of_frame + " --skip-unavailable --all-values"),
              HasSubstr("name=\"worker\""));
  EXPECT_THAT(ask("-var-create" + of_frame + " var0 @ \"workers[1]\""),
              HasSubstr("numchild=\"4\""));
  EXPECT_THAT(ask("-data-evaluate-expression" + of_frame + " \"worker->name\""), HasSubstr("\\\""));
  EXPECT_THAT(ask("-break-disable 1"), "^done");
  EXPECT_THAT(run("-exec-next --thread " + thread_of(hit)), HasSubstr("end-stepping-range"));
  EXPECT_EQ(ask("-exec-continue --all"), "^running");
  EXPECT_THAT(interrupt("-exec-interrupt --all"), HasSubstr("signal-received"));
  done("-interpreter-exec console \"detach\"");
  EXPECT_TRUE(guest_->running());
}

// An interrupt while what is evaluated in the server happens all the time gets its stop.
TEST_P(Mi, InterruptsAmongConditionsAndPrinting) {
  begin("mi3");
  done(async() ? "-gdb-set mi-async on" : "-gdb-set mi-async off");
  done("-gdb-set dprintf-style agent");
  EXPECT_THAT(ask("-target-select remote " + target()), StartsWith("^connected"));
  mi_->await_stop();
  done("-break-insert -c \"number == 123456789\" is_prime");
  prints_ = true;
  done("-dprintf-insert look_at \"looks at %d\\\\n\" number");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("-exec-continue"), "^running");
    EXPECT_THAT(interrupt("-exec-interrupt"), HasSubstr("signal-name=\"SIGINT\""));
  }
  EXPECT_THAT(mi_->all(), HasSubstr("looks at "));
  done("-target-detach");
  EXPECT_TRUE(guest_->running());
}

INSTANTIATE_TEST_SUITE_P(Commands, Mi, ::testing::Values(Commands::Async, Commands::Sync),
                         [](const auto& one) {
                           return one.param == Commands::Async ? "Async" : "Sync";
                         });

}  // namespace
}  // namespace ringside::testing
