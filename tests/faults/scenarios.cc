#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "faults/made_before.h"
#include "faults/scenario.h"
#include "nbd/testing/server.h"
#include "support/debug_client.h"
#include "support/guest_image.h"
#include "support/local_socket.h"
#include "support/qmp_client.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;
using Words = std::vector<std::string>;

constexpr int kPowerOff = 1, kHalt = 2, kTripleFault = 3, kError = 4;

Words with_guest(const char* guest, Words options) {
  options.insert(options.begin(), {"-e", "soft", "-m", "4M"});
  options.push_back(GuestImage(guest).path());
  return options;
}

// The server closes when it has answered a detach, and takes no acknowledgement of that.
void agree_on_no_acks(DebugClient& client) {
  if (client.request("QStartNoAckMode") == "OK") client.set_acks(Acks::None);
}

void end(ChildProcess& process) { process.kill(SIGTERM); }

std::string tick() {
  static const GuestImage image("counters");
  return hex_number(image["tick"]);
}

// A file that is made under its name only when it is whole: the older one, or all of the new one.
std::string older_or_whole(const std::string& path, const std::string& older,
                           const std::string& whole, bool is_said_to_be_made) {
  const std::string content = read_file(path);
  if (content == whole) return "";
  if (is_said_to_be_made) return path + " is said to be written, and is not what it should be";
  return content == older ? "" : path + " is neither the older file nor the new one";
}

// ---- A disk, and a guest that says after each flush what it has written

constexpr std::size_t kRound = 65536, kImage = 12 * kRound;
constexpr char kRounds[] = "abc";

// False: the guest has not got what was typed, or its answer has been dropped; that is said.
bool write_round(ChildProcess& process, char letter) {
  process.write_input("x");
  for (const Deadline deadline;;) {
    const std::string &output = process.text(Stream::Output), &error = process.text(Stream::Error);
    if (output.find(letter) != std::string::npos) return true;
    if (output.find('!') != std::string::npos) return false;
    for (const char* said : {"guest output is dropped", "guest input has ended"}) {
      if (error.find(said) != std::string::npos) return false;
    }
    process.await_any(deadline);
  }
}

void write_rounds(ChildProcess& process, const std::string& /*folder*/) {
  for (const char letter : std::string(kRounds)) {
    if (!write_round(process, letter)) break;
  }
  end(process);
}

std::string flushed_is_lost(const Outcome& run, const std::string& image) {
  for (std::size_t round = 0; kRounds[round] != '\0'; ++round) {
    if (run.output.find(kRounds[round]) == std::string::npos) break;
    if (image.compare(round * kRound, kRound, std::string(kRound, kRounds[round])) != 0)
      return std::string("what the guest was told to be flushed, ") + kRounds[round];
  }
  return "";
}

// The same of a server's disk, which is in this process's hands.
std::unique_ptr<nbd::testing::Server>& server() {
  static std::unique_ptr<nbd::testing::Server> one;
  return one;
}

std::string image_of_server() {
  return {reinterpret_cast<const char*>(server()->content()), kImage};
}

// ---- What a guest says, in files

std::string speech_is_lost(const Outcome& run, const std::string& folder) {
  const std::string said = read_file(folder + "/serial");
  const std::string& all = made_before().speech;
  if (run.status == kPowerOff && said == all) return "";
  if (all.compare(0, said.size(), said) != 0) return "a part of the guest's output within";
  return run.has("guest output is dropped") || run.status == kError ? "" : "output, in silence";
}

// With a network, a folder, random numbers and another user.
std::string speech_to_terminal_is_lost(const Outcome& run, const std::string& /*folder*/) {
  if (run.status != kPowerOff || run.output == made_before().speech) return "";
  return run.has("guest output is dropped") ? "" : "output, in silence";
}

// ---- A debugger that breaks, dumps and leaves

void debug(ChildProcess& process, const std::string& folder) {
  process.await_line(Stream::Error, "gdb: listening on");
  DebugClient client(folder + "/socket");
  client.request("qSupported:swbreak+;hwbreak+;error-message+");
  agree_on_no_acks(client);
  client.request("?");
  client.request("g");
  client.request("m" + tick() + ",40");
  write_file(folder + "/told", monitor(client, "dump-guest-memory core"));
  client.request("Z0," + tick() + ",1");
  client.resume();
  client.await_stop();
  client.request("z0," + tick() + ",1");
  client.detach();
  client.close();
  end(process);
}

std::string core_is_lost(const Outcome&, const std::string& folder) {
  return older_or_whole(folder + "/core", made_before().older_core, made_before().core_at_start,
                        read_file(folder + "/told").find("dumped:") == 0);
}

// ---- Several, over TCP, without a sandbox

void observe(ChildProcess& process, const std::string&) {
  const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  const auto port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  DebugClient controller(port);
  controller.request("?");
  {
    DebugClient observer(port);
    observer.request("?");
    observer.request("m" + tick() + ",40");
    monitor(controller, "profile start profile 10000");
    controller.request("Z0," + tick() + ",1");
    controller.resume();
    controller.await_stop();
    monitor(controller, "profile stop");
    observer.request("g");
    observer.reset();
  }
  controller.resume();
  controller.reset();
  DebugClient second(port);
  second.request("?");
  second.detach();
  end(process);
}

// ---- Runs that are recorded, replayed, saved and restored

// The guest ends at a key, unless it does not get it; that is said.
void type(ChildProcess& process, const std::string&) {
  process.write_input("x");
  for (const Deadline deadline; process.text(Stream::Error).find("guest: ") == std::string::npos;) {
    if (process.text(Stream::Error).find("guest input has ended") != std::string::npos)
      return end(process);
    process.await_any(deadline);
  }
}

std::string recording_is_lost(const Outcome& run, const std::string& folder) {
  if (run.status != kPowerOff) return "";
  const std::string recorded = state_in(run.error);
  const Outcome again = run_plainly(
      {"-m", "4M", "--replay", folder + "/journal", GuestImage("end_power_off").path()}, "");
  return state_in(again.error) == recorded && again.status == kPowerOff
             ? ""
             : "the journal of a run that ended well; its replay says " + again.error;
}

// Whatever the host does, the run is the same or none.
std::string state_is_lost(const Outcome& run, const std::string& wanted) {
  if (run.status != kPowerOff || state_in(run.error) == wanted) return "";
  return "the state: " + state_in(run.error) + ", not " + wanted;
}

// Whose machine has not begun.
void end_held(ChildProcess& process, const std::string&) {
  process.await_line(Stream::Error, "gdb: listening on");
  end(process);
}

std::string machine_is_lost(const Outcome& run, const std::string& folder) {
  const std::string content = read_file(folder + "/machine");
  const bool said = run.has("is written");
  if (content == made_before().older_machine)
    return said ? "the machine that is said to be saved" : "";
  const Outcome again =
      run_plainly({"--restore", folder + "/machine", "--pace", "off", "--log", "debug"}, "");
  return state_in(again.error) == made_before().restored
             ? ""
             : "the saved machine; its restoration says " + again.error;
}

// ---- The machine protocol

void command(ChildProcess& process, const std::string& folder) {
  process.await_line(Stream::Error, "qmp: listening on");
  QmpClient qmp(folder + "/socket");
  qmp.begin();
  qmp.run("query-status");
  qmp.run("stop");
  qmp.run("dump-guest-memory", R"("paging": false, "protocol": "file:core")");
  qmp.monitor("info status");
  qmp.run("cont");
  qmp.monitor("gdbserver unix:" + folder + "/debugger");
  {
    DebugClient debugger(folder + "/debugger");
    agree_on_no_acks(debugger);
    debugger.request("?");
    debugger.detach();
  }
  qmp.run("quit");
}

// ---- A debugger that has started the program

void debug_through_pipes(ChildProcess& process, const std::string& /*folder*/) {
  process.write_input(RawClient::frame("?") + "+" + RawClient::frame("D") + "+");
  process.close_input();
  process.await(Stream::Error, "gdb: the client has gone");
  end(process);
}

// ---- Bridges to devices

void bridge(ChildProcess& process, const std::string& folder) {
  process.await_line(Stream::Error, "guest gdb: listening on");
  process.await_line(Stream::Error, "serial: listening on");
  RawClient stub(folder + "/stub"), serial(folder + "/serial");
  stub.send_bytes("a");
  if (stub.receive_byte() != 'A') throw std::runtime_error("another answer");
  serial.send_bytes("b");
  stub.close();
  end(process);
}

// By a socket of the guest, which gives back what it gets. What is closed instead is no answer.
void speak_by_socket(ChildProcess& process, const std::string& folder) {
  process.await(Stream::Output, "!");
  LocalSocket socket = LocalSocket::connect(folder + "/socket");
  socket.write("CONNECT 80\ncall\n");
  for (const char* expected : {"OK ", "call"}) {
    if (!socket.read_line().starts_with(expected)) throw std::runtime_error("it was closed");
  }
  socket.write("q");
}

std::string nothing(const Outcome&, const std::string&) { return ""; }
void nobody(ChildProcess&, const std::string&) {}

std::vector<Scenario> make() {
  return {
      {"Disk",
       [](const std::string& folder) { write_file(folder + "/image", std::string(kImage, '.')); },
       [](const std::string& folder) {
         return with_guest("flush", {"-d", folder + "/image", "--virtio", "mmio"});
       },
       write_rounds,
       {kHalt},
       {"image"},
       [](const Outcome& run, const std::string& folder) {
         return flushed_is_lost(run, read_file(folder + "/image"));
       }},
      {"DiskOfAServer",
       [](const std::string& folder) {
         server() = nullptr;
         server() = std::make_unique<nbd::testing::Server>(folder + "/server",
                                                           nbd::testing::Export{kImage});
       },
       [](const std::string& folder) {
         return with_guest("flush", {"-d", "nbd+unix:" + folder + "/server", "--virtio", "mmio"});
       },
       write_rounds,
       {kHalt},
       {"server"},
       [](const Outcome& run, const std::string&) {
         return flushed_is_lost(run, image_of_server());
       }},
      {"Sockets",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("sockets", {"--vsock", folder + "/socket", "--virtio", "mmio"});
       },
       speak_by_socket,
       {kPowerOff},
       {},
       nothing,
       Keeper::Asked},
      {"Companions",
       [](const std::string& folder) {
         // Another user looks into it.
         std::filesystem::permissions(folder, std::filesystem::perms{0755});
       },
       [](const std::string& folder) {
         Words options = {"--pace", "off", "-n", "user", "--share", folder, "--rng", "host"};
         if (::geteuid() == 0) options.insert(options.end(), {"--user", "nobody"});
         return with_guest("speech", options);
       },
       nobody,
       {kPowerOff},
       {},
       speech_to_terminal_is_lost,
       Keeper::Asked},
      {"OutputInFiles",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("speech", {"--pace", "off", "-s", "file:" + folder + "/serial"});
       },
       nobody,
       {kPowerOff},
       {"serial"},
       speech_is_lost},
      {"Debugger",
       [](const std::string& folder) { write_file(folder + "/core", made_before().older_core); },
       [](const std::string& folder) {
         return with_guest("counters", {"-G", "wunix:" + folder + "/socket", "--files", folder});
       },
       debug,
       {},
       {"core", "told"},
       core_is_lost,
       Keeper::Asked},
      {"ObserversWithoutASandbox",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("counters", {"-G", "w0", "--files", folder, "--sandbox", "off"});
       },
       observe,
       {},
       {"profile"},
       nothing},
      {"Recording",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("end_power_off", {"--record", folder + "/journal"});
       },
       type,
       {kPowerOff},
       {"journal"},
       recording_is_lost},
      {"Replay",
       [](const std::string& folder) { write_file(folder + "/journal", made_before().journal); },
       [](const std::string& folder) {
         return with_guest("end_power_off", {"--replay", folder + "/journal"});
       },
       nobody,
       {kPowerOff},
       {"journal"},
       [](const Outcome& run, const std::string&) {
         return state_is_lost(run, made_before().recorded);
       }},
      {"Saving",
       [](const std::string& folder) {
         write_file(folder + "/machine", made_before().older_machine);
       },
       [](const std::string& folder) {
         return with_guest("speech",
                           {"-G", "wunix:" + folder + "/socket", "--save", folder + "/machine"});
       },
       end_held,
       {},
       {"machine"},
       machine_is_lost,
       Keeper::Asked},
      {"Restoring",
       [](const std::string& folder) { write_file(folder + "/machine", made_before().saved); },
       [](const std::string& folder) {
         return Words{"--restore", folder + "/machine", "--pace", "off", "--log", "debug"};
       },
       nobody,
       {kPowerOff},
       {"machine"},
       [](const Outcome& run, const std::string&) {
         return state_is_lost(run, made_before().restored);
       }},
      {"DumpOfADeadGuest",
       [](const std::string& folder) { write_file(folder + "/core", made_before().older_core); },
       [](const std::string& folder) {
         return with_guest("end_triple_fault", {"--dump-on-panic", folder + "/core"});
       },
       type,
       {kTripleFault},
       {"core"},
       [](const Outcome& run, const std::string& folder) -> std::string {
         if (run.status == kTripleFault && !run.has("dump: ")) return "a word about the core";
         return older_or_whole(folder + "/core", made_before().older_core,
                               made_before().core_of_death, run.has("dump: 'core' has"));
       }},
      {"MachineProtocol",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("counters", {"--qmp", "unix:" + folder + "/socket", "--files", folder});
       },
       command,
       {kPowerOff},
       {"core"},
       nothing,
       Keeper::Asked},
      {"DebuggerThroughPipes",
       [](const std::string&) {},
       [](const std::string&) {
         return with_guest("counters", {"-G", "wstdio", "-s", "none", "--log", "info"});
       },
       debug_through_pipes,
       {},
       {},
       nothing},
      {"Bridges",
       [](const std::string&) {},
       [](const std::string& folder) {
         return with_guest("echo224",
                           {"-g", "unix:" + folder + "/stub", "-s", "unix:" + folder + "/serial"});
       },
       bridge,
       {},
       {},
       nothing},
      {"Probe",
       [](const std::string&) {},
       [](const std::string&) { return Words{"--probe"}; },
       nobody,
       {0},
       {},
       nothing},
  };
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = make();
  return all;
}

}  // namespace ringside::testing
