// A request that takes long (a search, a checksum, the state's hash), done a slice at a time, so
// that other clients are served and this one can change its mind.
//
// Owned by the debugger from the request to its answer; used while every vCPU is out of the guest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ringside/options.h"

namespace ringside::debug {

// What tells a client that waits that the server is alive. Stock GDB waits two seconds for the next
// byte of an answer, three times.
struct SignOfLife {
  enum class Kind {
    Packet,        // console output, where the protocol has it before the answer
    Notification,  // of a kind that no client knows: it is dropped, and the wait begins anew
  };
  Kind kind = Kind::Notification;
  std::string payload;
};

// GDB manual, "Notification Packets": recipients discard what they do not understand, and restart
// their timeouts.
inline constexpr std::string_view kSignOfLife = "Ringside:working";

class Work {
 public:
  virtual ~Work() = default;
  // Works for about a millisecond: the answer once there is one.
  virtual std::optional<Result<std::string>> advance() = 0;
  virtual SignOfLife sign_of_life() {
    return {SignOfLife::Kind::Notification, std::string(kSignOfLife)};
  }
  // The client does not want it any more.
  virtual Result<std::string> give_up() { return fail(ErrorCode::Busy, "interrupted"); }
};

// A monitor command. Empty console output says that it goes on, now and then a line says how far.
class MonitorTask final : public Work {
 public:
  // `reply` makes the answer of the text.
  MonitorTask(std::unique_ptr<MonitorWork> work, std::function<std::string(std::string_view)> reply)
      : work_(std::move(work)), reply_(std::move(reply)) {}
  std::optional<Result<std::string>> advance() override;
  SignOfLife sign_of_life() override;
  Result<std::string> give_up() override { return reply_("Interrupted.\n"); }

 private:
  static constexpr unsigned kSignsPerLine = 4;
  std::unique_ptr<MonitorWork> work_;
  std::function<std::string(std::string_view)> reply_;
  unsigned signs_ = 0;
};

}  // namespace ringside::debug
