#include "debug/server/conversation.h"

#include <utility>

#include "rsp/file_io.h"

namespace ringside::debug {
namespace {

// Beyond what one read of a socket brings, and a bound on what a client that floods can hold.
constexpr std::size_t kInputLimit = 2 * rsp::kPacketSize;

// How long a client that waits for something long hears nothing.
constexpr std::chrono::milliseconds kSilence{500};

// So much text may be sent before the client is asked whether it has read it. With what gathers
// here meanwhile it is some kilobytes, which GDB reads in as many milliseconds.
constexpr std::size_t kUnasked = 2 * 1024;

}  // namespace

Conversation::Conversation(Debugger& debugger, const ServerOptions& options, rsp::Link link,
                           std::string input, std::optional<rsp::Request> waiting)
    : debugger_(debugger),
      options_(options),
      link_(std::move(link)),
      input_(std::move(input)),
      waiting_(std::move(waiting)) {}

Conversation::Conversation(Debugger& debugger, Conversation other)
    : debugger_(debugger),
      options_(other.options_),
      link_(std::move(other.link_)),
      input_(std::move(other.input_)),
      looked_at_(other.looked_at_),
      waiting_(std::move(other.waiting_)),
      sign_due_(other.sign_due_),
      answers_calls_(other.answers_calls_) {}

void Conversation::on_bytes(std::span<const std::byte> bytes) {
  input_.erase(0, looked_at_);
  looked_at_ = 0;
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool Conversation::wants_input() const { return input_.size() - looked_at_ < kInputLimit; }

std::optional<rsp::Event::Kind> Conversation::take_input() {
  std::string_view input = std::string_view(input_).substr(looked_at_);
  const std::optional<rsp::Event> event = link_.receive(input);
  std::optional<rsp::Event::Kind> kind;
  if (event) kind = event->kind;
  if (kind == rsp::Event::Kind::Packet) kind = take_packet(event->payload);
  looked_at_ = input_.size() - input.size();
  if (input.empty()) {
    input_.clear();
    looked_at_ = 0;
  }
  return kind;
}

// What comes after a call is its result. A client that says something else has not understood it,
// and is not asked again.
rsp::Event::Kind Conversation::take_packet(std::string_view payload) {
  if (std::exchange(asked_, false)) {
    if (const std::optional<rsp::CallResult> result = rsp::parse_call_result(payload)) {
      return *result == rsp::CallResult::Interrupted ? rsp::Event::Kind::Interrupt
                                                     : rsp::Event::Kind::Ack;
    }
    answers_calls_ = false;
  }
  learn(waiting_.emplace(rsp::parse(payload)));
  return rsp::Event::Kind::Packet;
}

// GDB carries out calls by File-I/O, and announces nothing of it. This it has announced, and nobody
// else has, since 7.11.
void Conversation::learn(const rsp::Request& request) {
  const auto* const features = std::get_if<rsp::QuerySupported>(&request);
  if (features != nullptr) answers_calls_ = features->announces("vContSupported");
}

void Conversation::print(std::string_view text, Next next) {
  constexpr std::size_t kMost = rsp::kPacketSize / 2 - 1;
  for (std::size_t at = 0; at < text.size(); at += kMost)
    link_.send(rsp::reply::console_output(text.substr(at, kMost)));
  unasked_ += text.size();
  if (!answers_calls_ || asked_ || next == Next::Stop || unasked_ < kUnasked) return;
  link_.send(rsp::kCall);
  unasked_ = 0;
  asked_ = true;
}

void Conversation::put_off() {
  if (!std::exchange(put_off_, true)) sign_due_ = options_.clock() + kSilence;
  if (sign_is_due()) link_.notify(kSignOfLife);
}

void Conversation::answer() {
  put_off_ = false;
  const rsp::Request request = *std::exchange(waiting_, std::nullopt);
  const std::optional<std::string> reply = debugger_.answer(request);
  if (reply) send_answer(*reply);
  if (debugger_.scanning()) sign_due_ = options_.clock() + kSilence;
  if (debugger_.session().no_ack && !link_.no_ack_mode()) link_.start_no_ack_mode();
}

// A slice of the work at most: who calls has others to serve too.
bool Conversation::serve_scan() {
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

bool Conversation::sign_is_due() {
  const auto now = options_.clock();
  if (now < sign_due_ || link_.full()) return false;
  sign_due_ = now + kSilence;
  return true;
}

void Conversation::send_sign_of_life() {
  if (!sign_is_due()) return;
  const SignOfLife sign = debugger_.sign_of_life();
  if (sign.kind == SignOfLife::Kind::Packet) {
    link_.send(sign.payload);
  } else {
    link_.notify(sign.payload);
  }
}

void Conversation::send_answer(const std::string& reply) {
  for (const std::string& packet : debugger_.take_before_answer())
    link_.send(packet);
  link_.send(reply);
}

}  // namespace ringside::debug
