// What one client and the server say to each other: the link, the bytes that it has not taken yet,
// and the request that waits until it can be served. Owned by who serves the client; one thread,
// no I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "debug/packets/debugger.h"
#include "rsp/link.h"
#include "rsp/request.h"

namespace ringside::debug {

class Conversation {
 public:
  // Both outlive it.
  Conversation(Debugger& debugger, const ServerOptions& options)
      : debugger_(debugger), options_(options) {}
  // One that somebody else has begun.
  Conversation(Debugger& debugger, const ServerOptions& options, rsp::Link link, std::string input,
               std::optional<rsp::Request> waiting);
  // One that another debugger has begun.
  Conversation(Debugger& debugger, Conversation other);

  void on_bytes(std::span<const std::byte> bytes);
  std::string_view output() const { return link_.output(); }
  void wrote(std::size_t count) { link_.wrote(count); }
  // The client takes what is said, and does not send faster than it is served.
  bool wants_input() const;

  // The next thing that the client has sent; a packet becomes waiting().
  std::optional<rsp::Event::Kind> take_input();
  const std::optional<rsp::Request>& waiting() const { return waiting_; }

  // ---- What the server says
  rsp::Link& link() { return link_; }
  // The request that waits, which may be served now.
  void answer();
  // The request that waits cannot be served yet: its client hears so at times.
  void put_off();
  // The request that waits is not answered.
  void ignore() { waiting_.reset(); }
  // A slice of a request that takes long. False when there is nothing to do before somebody calls
  // again.
  bool serve_scan();
  // What a client says of itself in its first packets.
  void learn(const rsp::Request& request);

  // ---- Text for its console, which it takes only while it believes the guest running
  bool wants_text() const { return !link_.behind() && !asked_; }
  // `next`: what the client is told after it.
  enum class Next : std::uint8_t { Nothing, Stop };
  void print(std::string_view text, Next next);

 private:
  rsp::Event::Kind take_packet(std::string_view payload);
  void send_answer(const std::string& reply);
  void send_sign_of_life();
  bool sign_is_due();

  Debugger& debugger_;
  const ServerOptions& options_;
  rsp::Link link_;
  std::string input_;
  std::size_t looked_at_ = 0;  // how much of input_ the link has taken
  std::optional<rsp::Request> waiting_;
  bool put_off_ = false;
  std::chrono::steady_clock::time_point sign_due_;  // of a scan, or of what was put off

  // A client hears of a stop after all text that it was sent before, and the system keeps more for
  // it than GDB reads in a tenth of a second. So GDB is asked at times what it has read, and until
  // it has answered, text waits with us.
  bool answers_calls_ = false;
  bool asked_ = false;
  std::size_t unasked_ = 0;  // text that was sent since
};

}  // namespace ringside::debug
