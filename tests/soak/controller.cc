#include "soak/controller.h"

#include <array>
#include <stdexcept>

namespace ringside::testing {
namespace {

using std::chrono::milliseconds;

Deadline patience() { return Deadline(std::chrono::seconds(300)); }

}  // namespace

enum class Controller::Ending : unsigned {
  Detach,
  Kill,
  CloseStopped,
  ResetStopped,
  CloseRunning,
  ResetRunning,
  CloseInAStep,
  CloseInAPacket,
  CloseWithAFlood,
  CloseInThePast,
  CloseBackwards,
  CloseTracing,
  CloseWithABreakpoint,
  Count
};

Controller::Controller(std::uint16_t port, const Places& places, std::minstd_rand& random,
                       Deeds& deeds)
    : client_(port),
      places_(places),
      random_(random),
      deeds_(deeds),
      mode_(some(4) == 0 ? Mode::NonStop : Mode::AllStop) {
  greet();
}

void Controller::live() {
  for (std::uint64_t left = some(30); left > 0; --left) {
    if (mode_ == Mode::AllStop) {
      act();
    } else {
      act_in_non_stop();
    }
  }
  end();
}

std::string Controller::ask(const std::string& packet) {
  client_.send(packet);
  std::string reply = client_.receive(patience());
  while (reply.starts_with('O') && reply != "OK")
    reply = client_.receive(patience());
  return reply;
}

std::string Controller::say(const std::string& command) {
  note("monitor");
  return unhex(ask("qRcmd," + hex(command)));
}

void Controller::greet() {
  ask("qSupported:multiprocess+;swbreak+;hwbreak+;error-message+;qXfer:features:read+");
  // In non-stop mode a notification may come before an acknowledgement, which this client takes for
  // none.
  const bool quiet = mode_ == Mode::NonStop || some(2) == 0;
  if (quiet && ask("QStartNoAckMode") == "OK") client_.set_acks(Acks::None);
  ask("vCont?");
  if (mode_ == Mode::NonStop) ask("QNonStop:1");
  ask("?");
  if (mode_ == Mode::NonStop) take_stops();
  threads_ = client_.threads();
  note(mode_ == Mode::NonStop ? "non-stop connection" : "all-stop connection");
}

void Controller::go(const std::string& packet, milliseconds longest) {
  client_.send(packet);
  if (client_.silent_for(longest)) client_.interrupt();
  for (;;) {
    const std::string reply = client_.receive(patience());
    if (reply.starts_with('O')) continue;
    if (!reply.starts_with('T') && !reply.starts_with('S'))
      throw std::runtime_error(packet + " got " + reply);
    note("stop");
    return;
  }
}

// ---- All-stop

void Controller::act() {
  constexpr std::array kActs = {
      &Controller::run,
      &Controller::run,
      &Controller::step,
      &Controller::step_range,
      &Controller::move_one,
      &Controller::stop_at_breakpoint,
      &Controller::stop_at_breakpoint,
      &Controller::stop_at_watchpoint,
      &Controller::skip_false_conditions,
      &Controller::look,
      &Controller::write_what_is_there,
      &Controller::go_back,
      &Controller::walk_back,
      &Controller::trace,
      &Controller::catch_event,
      &Controller::record_profile,
      &Controller::ask_about_linux,
      &Controller::ask_the_monitor,
  };
  (this->*kActs[some(kActs.size())])();
}

void Controller::run() { go("vCont;c", moment()); }

void Controller::step() {
  for (std::uint64_t left = some(20); left > 0; --left)
    go("vCont;s:" + somebody(), std::chrono::seconds(1));
  note("steps");
}

void Controller::step_range() {
  go("vCont;r" + code() + "," + hex_number(std::stoull(code(), nullptr, 16) + 64) + ":" +
         somebody() + ";c",
     moment());
  note("range step");
}

void Controller::move_one() {
  go("vCont;c:" + somebody(), moment());
  go("vCont;s:" + somebody() + ";c", moment());
  note("one vCPU alone");
}

void Controller::stop_at_breakpoint() {
  const std::string place = std::to_string(some(2)) + "," + code() + ",1";
  ask("Z" + place);
  for (std::uint64_t left = some(5); left > 0; --left)
    go("vCont;c", moment());
  ask("z" + place);
  note("breakpoint");
}

void Controller::stop_at_watchpoint() {
  const std::string place = (some(2) == 0 ? "2," : "4,") + places_.data + ",8";
  ask("Z" + place);
  go("vCont;c", moment());
  ask("z" + place);
  note("watchpoint");
}

// The condition is the number 0: agent expression "const8 0, end".
void Controller::skip_false_conditions() {
  const std::string place = "0," + code() + ",1";
  ask("Z" + place + ";X3,220027");
  go("vCont;c", moment());
  ask("z" + place);
  note("condition");
}

void Controller::look() {
  ask("Hg" + somebody());
  const Registers registers = client_.registers();
  ask("m" + hex_number(registers[kRsp]) + ",100");
  ask("m" + hex_number(some(~std::uint64_t{0})) + ",20");
  ask("qXfer:features:read:target.xml:0,400");
  ask("qXfer:memory-map:read::0,400");
  note("look");
}

void Controller::write_what_is_there() {
  ask("Hg" + somebody());
  ask("G" + ask("g"));
  const std::string bytes = ask("m" + places_.code.front() + ",8");
  if (!bytes.starts_with('E')) ask("M" + places_.code.front() + ",8:" + bytes);
  note("write");
}

void Controller::go_back() {
  say("bookmark");
  for (std::uint64_t left = some(4); left > 0; --left) {
    say("goto -" + std::to_string(some(3'000'000)));
    go(some(2) == 0 ? "bs" : "vCont;s:" + somebody(), std::chrono::seconds(2));
  }
  say("goto present");
  note("journey");
}

void Controller::walk_back() {
  const std::string place = "0," + code() + ",1";
  ask("Z" + place);
  go("bc", milliseconds(200));
  ask("z" + place);
  say("goto present");
  note("walk back");
}

void Controller::trace() {
  ask("QTinit");
  ask("QTDP:1:" + code() + ":E:0:0-");
  ask("QTDP:-1:" + code() + ":R1ffff");
  ask("QTStart");
  go("vCont;c", moment());
  ask("qTStatus");
  ask("QTStop");
  ask("QTFrame:0");
  ask("g");
  ask("QTFrame:ffffffff");
  ask("QTinit");
  note("trace");
}

void Controller::catch_event() {
  constexpr std::array kEvents = {"exception 14", "interrupt", "cr 3",       "hlt",
                                  "io",           "msr",       "cpl",        "exception",
                                  "cr 3 w",       "io 0x3f8",  "exception 3"};
  say(std::string("catch ") + kEvents[some(kEvents.size())]);
  for (std::uint64_t left = some(4); left > 0; --left)
    go("vCont;c", moment());
  say("catch delete all");
  note("catch");
}

void Controller::record_profile() {
  say(some(2) == 0 ? "profile start soak.profile 10000" : "trace calls soak.calls");
  go("vCont;c", moment());
  say("profile stop");
  say("trace stop");
  note("profile");
}

void Controller::ask_about_linux() {
  constexpr std::array kQuestions = {"tasks", "kaslr", "task 1", "task 2"};
  say(kQuestions[some(kQuestions.size())]);
  ask("qXfer:osdata:read:processes:0,400");
  ask("qXfer:libraries:read::0,400");
  note("question about Linux");
}

void Controller::ask_the_monitor() {
  constexpr std::array kQuestions = {"help",    "vcpus",  "hash", "when",    "history",
                                     "pending", "forget", "regs", "clients", "watch",
                                     "devices", "where",  "cr3"};
  say(kQuestions[some(kQuestions.size())]);
}

// ---- Non-stop

void Controller::take_stops() {
  while (ask("vStopped") != "OK")
    note("stop in non-stop mode");
}

void Controller::act_in_non_stop() {
  const std::string place = "0," + code() + ",1";
  switch (some(6)) {
    case 0:
      ask("vCont;t:" + somebody());
      break;
    case 1:
      ask("vCont;c");
      break;
    case 2:
      ask("vCont;s:" + somebody());
      break;
    case 3:
      ask("Z" + place);
      client_.silent_for(moment());
      ask("z" + place);
      break;
    case 4:
      ask("Hg" + somebody());
      ask("g");
      ask("m" + places_.data + ",8");
      break;
    default:
      ask("vCont;c:" + somebody());
      client_.silent_for(moment());
      break;
  }
  // Sometimes events are left to wait.
  if (some(4) != 0) take_stops();
  note("act in non-stop mode");
}

// ---- The end

void Controller::end() {
  const auto ending = static_cast<Ending>(some(static_cast<unsigned>(Ending::Count)));
  note("end " + std::to_string(static_cast<unsigned>(ending)));
  switch (ending) {
    case Ending::Detach:
      ask("D");
      return client_.close();
    case Ending::Kill:
      client_.send("k");
      return client_.close();
    case Ending::CloseRunning:
      client_.send("vCont;c");
      return client_.close();
    case Ending::ResetRunning:
      client_.send("vCont;c");
      return client_.reset();
    case Ending::CloseInAStep:
      client_.send("vCont;s:" + somebody() + ";c");
      return client_.close();
    case Ending::CloseInAPacket:
      client_.send_bytes("$Z0," + code());
      return client_.close();
    case Ending::CloseWithAFlood:
      for (int i = 0; i < 200; ++i)
        client_.send_bytes(RawClient::frame("g") + RawClient::frame("m0,1000"));
      return client_.reset();
    case Ending::CloseInThePast:
      say("goto -" + std::to_string(some(1'000'000)));
      return client_.close();
    case Ending::CloseBackwards:
      client_.send("bc");
      client_.silent_for(moment());
      return client_.reset();
    case Ending::CloseTracing:
      ask("QTinit");
      ask("QTDP:1:" + code() + ":E:0:0-");
      ask("QTStart");
      client_.send("vCont;c");
      return client_.close();
    case Ending::CloseWithABreakpoint:
      ask("Z0," + code() + ",1");
      ask("Z2," + places_.data + ",8");
      say("catch exception");
      client_.send("vCont;c");
      return client_.close();
    case Ending::ResetStopped:
      return client_.reset();
    case Ending::CloseStopped:
    case Ending::Count:
      return client_.close();
  }
}

}  // namespace ringside::testing
