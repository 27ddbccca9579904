#include "debug/server/server.h"

namespace ringside::debug {
namespace {

using Phase = RunControl::Phase;

// Beyond what one read of a socket brings, and a bound on what a client that floods can hold.
constexpr std::size_t kInputLimit = 2 * rsp::kPacketSize;

// How long a client that waits for something long hears nothing.
constexpr std::chrono::milliseconds kSilence{500};

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
  if (link_) return;
  link_.emplace();
  debugger_.begin_session();
  target_.control().attach();
  work();
}

// The packet that waits was acknowledged, and so is waited for from now on.
void Server::take_over(Greeter greeter) {
  if (link_) return;
  link_.emplace(std::move(greeter.link_));
  input_ = std::move(greeter.input_);
  waiting_ = std::move(greeter.waiting_);
  debugger_.begin_session();
  for (const rsp::Request& request : greeter.answered_)
    (void)debugger_.answer(request);
  target_.control().attach();
  work();
}

void Server::on_bytes(std::span<const std::byte> bytes) {
  if (!link_ || debugger_.session().over) return;
  input_.erase(0, looked_at_);
  looked_at_ = 0;
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  work();
}

void Server::on_disconnected() {
  link_.reset();
  input_.clear();
  looked_at_ = 0;
  waiting_.reset();
  debugger_.end_session();
  work();
}

void Server::drain_events() { work(); }

void Server::machine_was_reset() {
  target_.begin_again();
  debugger_.forget_current();
}

bool Server::has_work() const {
  if (link_ && debugger_.scanning()) return true;
  if (link_ && debugger_.travelling() && target_.has_room()) return true;
  return target_.has_work();
}

std::string_view Server::output() const { return link_ ? link_->output() : std::string_view{}; }

void Server::wrote(std::size_t count) {
  if (!link_) return;
  link_->wrote(count);
  work();  // what waited for room in the queue
}

bool Server::wants_input() const {
  return link_ && !debugger_.session().over && input_.size() - looked_at_ < kInputLimit;
}

bool Server::wants_close() const {
  if (!link_ || !link_->output().empty()) return false;
  if (debugger_.session().over) return true;
  // An engine with threads may have ended since its events were taken: then the client is told
  // first.
  return target_.ended() && (end_is_said_ || !target_.control().awaits_report());
}

// Nothing is reported or answered any more once the machine has ended. What ended it may be what
// the client has waited for as well: a step of the instruction that switches off. The stop is not
// told then, because nothing could be asked about it, and the end is.
bool Server::say_end() {
  if (!link_ || !target_.ended()) return false;
  const bool awaited = target_.take_report() || target_.control().awaits_report();
  if (end_is_said_ || !awaited) return true;
  end_is_said_ = true;
  send_output(true);
  for (const std::string& packet : debugger_.report_end(*target_.vm().ended()))
    link_->send(packet);
  return true;
}

void Server::announce_end(int status) {
  if (!link_ || end_is_said_ || !target_.control().awaits_report()) return;
  end_is_said_ = true;
  send_output(true);
  link_->send(debugger_.exit_reply(status));
}

void Server::work() {
  may_travel_ = true;
  do {
    if (link_ && options_.time_travel != nullptr && options_.time_travel->is_at_end())
      target_.control().come_to_end();
    target_.settle();
    if (say_end()) return;
    if (!has_client()) print_without_client();
    const bool report = target_.take_report();
    const bool runs = target_.control().phase() != Phase::Stopped || debugger_.travelling();
    if (report || runs) send_output(report);
    if (report && link_) {
      for (const std::string& packet : debugger_.report_stop())
        link_->send(packet);
    }
    tell_owner();
  } while (serve_one());
}

void Server::tell_owner() {
  const bool stopped = link_ && target_.control().phase() == Phase::Stopped;
  if (stopped == owner_knows_stop_) return;
  owner_knows_stop_ = stopped;
  const auto& hook = stopped ? options_.hooks.guest_stopped : options_.hooks.guest_resumed;
  if (hook) hook();
}

// Text for the client's console, which it takes only while it believes the guest running. `all`: a
// stop report follows, after which it is too late.
void Server::send_output(bool all) {
  if (!has_client() || (link_->full() && !all)) return;
  constexpr std::size_t kMost = rsp::kPacketSize / 2 - 1;
  const std::string text = target_.take_output();
  for (std::size_t at = 0; at < text.size(); at += kMost)
    link_->send(rsp::reply::console_output(std::string_view(text).substr(at, kMost)));
}

void Server::print_without_client() {
  const std::string text = target_.take_output();
  if (!text.empty() && options_.console) options_.console(text);
}

// The next thing that the client has sent; a packet becomes waiting_.
std::optional<rsp::Event::Kind> Server::take_input() {
  std::string_view input = std::string_view(input_).substr(looked_at_);
  const std::optional<rsp::Event> event = link_->receive(input);
  if (event && event->kind == rsp::Event::Kind::Packet) waiting_ = rsp::parse(event->payload);
  looked_at_ = input_.size() - input.size();
  if (input.empty()) {
    input_.clear();
    looked_at_ = 0;
  }
  if (!event) return std::nullopt;
  if (event->kind == rsp::Event::Kind::Interrupt) target_.control().interrupt();
  return event->kind;
}

// One step of serving the client; false when there is nothing to do before something else happens.
bool Server::serve_one() {
  if (!link_ || debugger_.session().over) return false;
  if (debugger_.scanning()) return serve_scan();
  if (debugger_.travelling()) return serve_journey();
  RunControl& control = target_.control();
  if (!waiting_) {
    const auto input = take_input();
    // A stop that is asked for comes before the answers to what follows.
    if (!input || *input == rsp::Event::Kind::Interrupt) {
      if (control.phase() == Phase::Paused) {
        control.unpause();
      } else if (!input) {
        return false;
      }
    }
    if (!waiting_) return true;
  }
  switch (debugger_.when(*waiting_)) {
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
  const rsp::Request request = std::move(*waiting_);
  waiting_.reset();
  answer(request);
  return true;
}

// A slice of the work at most: who calls has others to serve too.
bool Server::serve_scan() {
  if (!waiting_ && take_input() == rsp::Event::Kind::Interrupt) {
    send_answer(*debugger_.give_up_scan());
    return true;
  }
  const std::optional<std::string> reply = debugger_.continue_scan();
  if (reply) {
    send_answer(*reply);
  } else {
    send_sign_of_life();
  }
  return reply.has_value();
}

// Likewise, also where a client sends a hundred at once. One that waits for a stop has no timeout,
// and hears nothing before it.
bool Server::serve_journey() {
  if (!std::exchange(may_travel_, false)) return false;
  bool asked = !waiting_ && take_input() == rsp::Event::Kind::Interrupt;
  if (waiting_ && std::holds_alternative<rsp::Interrupt>(*waiting_)) {
    answer(*std::exchange(waiting_, std::nullopt));
    asked = true;
  }
  if (!asked) return debugger_.continue_journey();
  debugger_.give_up_journey();
  return true;
}

void Server::send_sign_of_life() {
  const auto now = options_.clock();
  if (now < sign_due_ || link_->full()) return;
  sign_due_ = now + kSilence;
  const SignOfLife sign = debugger_.sign_of_life();
  if (sign.kind == SignOfLife::Kind::Packet) {
    link_->send(sign.payload);
  } else {
    link_->notify(sign.payload);
  }
}

void Server::send_answer(const std::string& reply) {
  for (const std::string& packet : debugger_.take_before_answer())
    link_->send(packet);
  link_->send(reply);
}

void Server::answer(const rsp::Request& request) {
  const std::optional<std::string> reply = debugger_.answer(request);
  if (reply) send_answer(*reply);
  if (debugger_.scanning()) sign_due_ = options_.clock() + kSilence;
  if (debugger_.session().no_ack && !link_->no_ack_mode()) link_->start_no_ack_mode();
}

}  // namespace ringside::debug
