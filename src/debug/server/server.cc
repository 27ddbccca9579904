#include "debug/server/server.h"

#include <algorithm>
#include <utility>

#include "debug/monitor/monitor.h"

namespace ringside::debug {
namespace {

using Phase = RunControl::Phase;

// Of the time in which the guest runs, or the client that controls it is busy, observers get one
// part in so many.
constexpr unsigned kShareOfLooking = 48;
// Reading a request and writing its answer: system calls, and the guest's slice that ends for them.
constexpr std::chrono::microseconds kAroundALook{100};
// So long after its last packet a client counts as busy.
constexpr std::chrono::milliseconds kBusy{20};

}  // namespace

Server::Server(hypervisor::Vm& vm, ServerOptions options)
    : target_(vm, options.breakpoints), options_(options), debugger_(target_, options_) {}

Server::~Server() = default;

void Server::start() {
  target_.begin();
  if (!options_.wait) target_.control().release();
  work();
}

void Server::on_connected() {
  if (client_) return;
  client_.emplace(debugger_, options_);
  debugger_.begin_session();
  target_.control().attach();
  work();
}

// The packet that waits was acknowledged, and so is waited for from now on.
void Server::take_over(Introduction said, Begins begins) {
  if (client_) return;
  client_.emplace(debugger_, options_, std::move(said.link), std::move(said.input),
                  std::move(said.waiting));
  debugger_.begin_session();
  if (begins == Begins::Unattached) debugger_.wait_for_attach();
  for (const rsp::Request& request : said.answered) {
    client_->learn(request);
    (void)debugger_.answer(request);
  }
  if (begins == Begins::Attached) target_.control().attach();
  work();
}

void Server::on_bytes(std::span<const std::byte> bytes) {
  if (!client_ || debugger_.session().over) return;
  client_->on_bytes(bytes);
  last_heard_ = options_.clock();
  work();
}

void Server::on_disconnected() {
  client_.reset();
  end_waits_ = false;
  end_reply_.reset();
  debugger_.end_session();
  work();
}

void Server::drain_events() { work(); }

Observer& Server::observe() {
  observers_rest_ = false;
  return observers_.emplace_back(target_, options_);
}

Observer& Server::observe(Introduction said) {
  observers_rest_ = false;
  return observers_.emplace_back(target_, options_, std::move(said));
}

void Server::leave(Observer& observer) {
  observers_.remove_if([&](const Observer& o) { return &o == &observer; });
}

void Server::take_over(Observer& observer) {
  if (client_) return;
  client_.emplace(debugger_, std::move(observer.conversation_));
  debugger_.begin_session(observer.debugger_.session());
  leave(observer);
  target_.control().attach();
  work();
}

void Server::machine_was_reset() {
  target_.begin_again();
  debugger_.forget_current();
  for (Observer& observer : observers_)
    observer.forget_current();
}

bool Server::has_work() const {
  if (client_ && debugger_.scanning()) return true;
  if (client_ && debugger_.travelling() && target_.has_room()) return true;
  const bool stopping = target_.control().phase() == Phase::Stopping;
  if (!requests_.empty() && !target_.ended() && !stopping) return true;
  return target_.has_work();
}

std::string_view Server::output() const { return client_ ? client_->output() : std::string_view{}; }

void Server::wrote(std::size_t count) {
  if (!client_) return;
  client_->wrote(count);
  work();  // what waited for room in the queue
}

bool Server::wants_input() const {
  return client_ && !debugger_.session().over && client_->wants_input();
}

bool Server::wants_close() const {
  if (!client_ || !client_->output().empty()) return false;
  if (debugger_.session().over) return true;
  // An engine with threads may have ended since its events were taken: then the client is told
  // first.
  return target_.ended() && !end_waits_ && (end_is_said_ || !target_.control().awaits_report());
}

// Nothing is reported or answered any more once the machine has ended. What ended it may be what
// the client has waited for as well: a step of the instruction that switches off. The stop is not
// told then, because nothing could be asked about it, and the end is.
bool Server::say_end() {
  if (!client_ || !target_.ended()) return false;
  const bool awaited = target_.take_report() || target_.control().awaits_report();
  if (end_is_said_ || !awaited) return true;
  end_is_said_ = true;
  send_output(Conversation::Next::Stop);
  const std::vector<std::string> packets = debugger_.report_end(*target_.vm().ended());
  if (is_non_stop()) {
    notify_of_end(packets.back());
    return true;
  }
  for (const std::string& packet : packets)
    client_->link().send(packet);
  return true;
}

// One notification at a time: where there is one that the client has not acknowledged, the end is
// the answer to an acknowledgement.
void Server::notify_of_end(const std::string& reply) {
  end_waits_ = true;
  if (target_.control().has_unacknowledged()) {
    end_reply_ = reply;
  } else {
    client_->link().notify("Stop:" + reply);
  }
}

// Nothing but that is answered any more.
void Server::serve_acknowledgements() {
  while (end_waits_ && client_ && (client_->waiting() || client_->take_input())) {
    if (!client_->waiting()) continue;
    if (std::holds_alternative<rsp::AcknowledgeStop>(*client_->waiting())) {
      const std::optional<VcpuId> next = target_.control().acknowledge_report();
      end_waits_ = next || end_reply_;
      client_->link().send(next         ? debugger_.report_stop(*next)
                           : end_reply_ ? *std::exchange(end_reply_, std::nullopt)
                                        : rsp::reply::ok());
    }
    client_->ignore();
  }
}

void Server::announce_end(int status) {
  if (!client_ || end_is_said_ || !target_.control().awaits_report()) return;
  end_is_said_ = true;
  send_output(Conversation::Next::Stop);
  const std::string reply = debugger_.exit_reply(status);
  if (is_non_stop()) {
    notify_of_end(reply);
  } else {
    client_->link().send(reply);
  }
}

void Server::work() {
  may_travel_ = true;
  may_serve_observers_ = true;
  do {
    if (client_ && options_.time_travel != nullptr && options_.time_travel->is_at_end())
      target_.control().come_to_end();
    target_.settle();
    if (say_end() || end_is_said_) {
      serve_acknowledgements();
      return;
    }
    if (!has_client() || is_non_stop()) print_without_client();
    const bool report = target_.take_report();
    const bool runs = target_.control().phase() != Phase::Stopped || debugger_.travelling();
    using Next = Conversation::Next;
    if (report || runs) send_output(report ? Next::Stop : Next::Nothing);
    if (report && client_) say_stop();
    tell_owner();
  } while (serve_requests() || serve_one() || serve_observers());
}

// In non-stop mode the client has no request that waits for a stop: it is notified, and takes no
// console output.
void Server::say_stop() {
  if (is_non_stop()) {
    client_->link().notify("Stop:" + debugger_.report_stop(target_.reported()));
    return;
  }
  for (const std::string& packet : debugger_.report_stop())
    client_->link().send(packet);
}

void Server::tell_owner() {
  const bool stopped = client_ && target_.control().stopped();
  if (stopped == owner_knows_stop_) return;
  owner_knows_stop_ = stopped;
  const auto& hook = stopped ? options_.hooks.guest_stopped : options_.hooks.guest_resumed;
  if (hook) hook();
}

void Server::send_output(Conversation::Next next) {
  if (!has_client() || is_non_stop()) return;
  if (next == Conversation::Next::Nothing && !client_->wants_text()) return;
  client_->print(target_.take_output(), next);
}

void Server::print_without_client() {
  const std::string text = target_.take_output();
  if (!text.empty() && options_.console) options_.console(text);
}

std::optional<rsp::Event::Kind> Server::take_input() {
  const std::optional<rsp::Event::Kind> event = client_->take_input();
  if (event == rsp::Event::Kind::Interrupt) debugger_.interrupt();
  return event;
}

// One step of serving the client; false when there is nothing to do before something else happens.
bool Server::serve_one() {
  if (!client_ || debugger_.session().over) return false;
  if (looking_) return false;  // in a moment
  if (debugger_.scanning()) return client_->serve_scan();
  if (debugger_.travelling()) return serve_journey();
  RunControl& control = target_.control();
  if (!client_->waiting()) {
    const auto input = take_input();
    // A stop that is asked for comes before the answers to what follows.
    if (!input || *input == rsp::Event::Kind::Interrupt) {
      if (control.phase() == Phase::Paused) {
        control.unpause();
      } else if (!input) {
        return false;
      }
    }
    if (!client_->waiting()) return true;
  }
  switch (debugger_.when(*client_->waiting())) {
    case Debugger::When::Now:
      break;
    case Debugger::When::Attached:
      if (!control.attached()) {
        control.attach();
        return true;
      }
      if (control.phase() == Phase::Stopping) return false;
      break;
    case Debugger::When::Stopped:
      // The stop that the client made by attaching is still under way.
      if (control.phase() == Phase::Stopping) return false;
      break;
    case Debugger::When::Out:
      if (control.phase() == Phase::Stopping) return false;
      if (control.phase() == Phase::Running) {
        control.pause();
        return true;
      }
      break;
  }
  client_->answer();
  return true;
}

// A slice at most, also where a client sends a hundred packets at once. One that waits for a stop
// has no timeout, and hears nothing before it.
bool Server::serve_journey() {
  if (!std::exchange(may_travel_, false)) return false;
  const std::optional<rsp::Request>& waiting = client_->waiting();
  bool asked = !waiting && take_input() == rsp::Event::Kind::Interrupt;
  if (waiting && std::holds_alternative<rsp::Interrupt>(*waiting)) {
    client_->answer();
    asked = true;
  }
  if (!asked) return debugger_.continue_journey();
  debugger_.give_up_journey();
  return true;
}

// Before the client's, whose next one would end the pause.
bool Server::serve_requests() {
  RunControl& control = target_.control();
  const bool busy = looking_ || control.phase() == Phase::Stopping ||
                    (client_ && (debugger_.travelling() || debugger_.scanning()));
  if (requests_.empty() || busy || target_.ended()) return false;
  if (control.phase() == Phase::Running) {
    paused_for_request_ = true;
    control.pause();
    return true;
  }
  const std::function<void()> request = std::move(requests_.front());
  requests_.pop_front();
  request();
  if (std::exchange(paused_for_request_, false)) control.unpause();
  return true;
}

std::string Server::monitor(std::string_view line, VcpuId current, std::string_view refusal) {
  Session session;
  session.role = Session::Role::Looks;
  session.current = current;
  session.refusal = refusal;
  Monitor monitor(target_, session, options_);
  std::string text = monitor.run(line);
  if (const std::unique_ptr<MonitorWork> work = monitor.take_work()) {
    // Those that look have their text at once.
    if (const std::optional<std::string> result = work->advance()) return *result;
    return std::string(refusal) + "\n";
  }
  return text;
}

bool Server::holds_guest() const { return target_.control().stopped(); }

// Who looks takes a small share of the time from the guest, and from a client that is busy.
bool Server::may_look(std::chrono::steady_clock::time_point now) const {
  const bool idle = target_.control().phase() == Phase::Stopped && now - last_heard_ > kBusy;
  return idle || now >= next_look_;
}

std::optional<std::chrono::nanoseconds> Server::time_to_look() const {
  if (!look_waits_) return std::nullopt;
  const auto now = options_.clock();
  if (may_look(now)) return std::chrono::nanoseconds(0);
  auto due = next_look_;
  if (target_.control().phase() == Phase::Stopped) due = std::min(due, last_heard_ + kBusy);
  return due - now;
}

// One request of each that has one. Where the guest runs, it is brought out for a moment first.
//
// This is called after each slice of the guest, some 20 microseconds, and between two looks there
// are thousands: what observers want is asked only when it may have changed, or can be served.
bool Server::serve_observers() {
  if (observers_rest_ && !looking_ && !(look_waits_ && may_look(options_.clock()))) return false;
  look_waits_ = false;
  RunControl& control = target_.control();
  if (looking_ && control.phase() == Phase::Running) looking_ = false;  // the client has gone
  if ((observers_.empty() && !looking_) || target_.ended()) return false;
  using Wants = Observer::Wants;
  // What the machine does in such a moment is somebody's request, and not to be seen half done.
  const bool moves = client_ && (debugger_.travelling() || debugger_.scanning());
  bool needs_all_out = false;
  for (Observer& observer : observers_) {
    const Wants wants = observer.wants();
    look_waits_ |= wants != Wants::Nothing;
    needs_all_out |= wants == Wants::AllOut;
    if (moves && wants != Wants::Nothing) observer.put_off();
  }
  const auto rests = [](const Observer& o) {
    return o.output().empty() && !o.wants_close() && !o.wants_control();
  };
  observers_rest_ = !looking_ && std::all_of(observers_.begin(), observers_.end(), rests);
  if (control.phase() == Phase::Stopping || moves || !may_serve_observers_) return false;
  const auto now = options_.clock();
  if (!looking_) {
    if (!look_waits_ || !may_look(now)) return false;
    look_began_ = now;
    if (needs_all_out && control.phase() == Phase::Running) {
      looking_ = true;
      control.pause();
      return true;
    }
  }
  // Then sockets are read and signals taken, also where what observers ask for has no end.
  may_serve_observers_ = false;
  observers_rest_ = false;  // there are answers to write
  unsigned served = 0;
  for (Observer& observer : observers_) {
    observer.set_controlled(client_.has_value());
    if (observer.wants() == Wants::Nothing) continue;
    observer.serve();
    ++served;
  }
  if (std::exchange(looking_, false)) control.unpause();
  const auto ended = options_.clock();
  next_look_ = ended + kShareOfLooking * (ended - look_began_ + served * kAroundALook);
  return true;
}

}  // namespace ringside::debug
