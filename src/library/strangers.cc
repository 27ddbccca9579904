#include "library/strangers.h"

#include <fmt/core.h>

#include <utility>

#include "transport/single_client.h"

namespace ringside {

using debug::Doorkeeper;

class Strangers::Seat final : public transport::ClientHandler {
 public:
  Seat(EventLoop& loop, std::string address, Doorkeeper doorkeeper,
       std::chrono::steady_clock::time_point since)
      : address_(std::move(address)),
        since_(since),
        doorkeeper_(std::move(doorkeeper)),
        client_(loop, "gdb stranger", *this) {}

  void begin(transport::Connection connection) { (void)client_.adopt(std::move(connection)); }
  void update() { client_.update(); }
  std::chrono::steady_clock::time_point since() const { return since_; }
  bool gone() const { return gone_; }
  bool is_admitted() const { return !gone_ && doorkeeper_.state() == Doorkeeper::State::Admitted; }
  Admitted release() { return {*client_.release(), std::move(doorkeeper_).introduction()}; }
  // For the log; empty: nothing is to be said.
  std::string why_closed() const {
    switch (doorkeeper_.state()) {
      case Doorkeeper::State::NoDebugger:
        return fmt::format("closed what is no debugger, from {}", address_);
      case Doorkeeper::State::WrongTokens:
        return fmt::format("closed a debugger from {}: it said wrong tokens", address_);
      case Doorkeeper::State::Asking:
      case Doorkeeper::State::Admitted:
        break;
    }
    return {};
  }

  // ---- ClientHandler
  void on_connected() override {}
  void on_bytes(std::span<const std::byte> bytes) override { doorkeeper_.on_bytes(bytes); }
  void on_disconnected() override { gone_ = true; }
  std::string_view output() const override { return doorkeeper_.output(); }
  void wrote(std::size_t count) override { doorkeeper_.wrote(count); }
  std::size_t room() const override { return doorkeeper_.wants_input() ? ~std::size_t{0} : 0; }
  bool wants_close() const override {
    const Doorkeeper::State state = doorkeeper_.state();
    return state == Doorkeeper::State::NoDebugger ||
           (state == Doorkeeper::State::WrongTokens && output().empty());
  }

 private:
  const std::string address_;
  const std::chrono::steady_clock::time_point since_;
  Doorkeeper doorkeeper_;
  transport::SingleClient client_;
  bool gone_ = false;
};

Strangers::Strangers(EventLoop& loop, transport::Refusals& refusals, std::string token,
                     std::function<debug::Abilities()> abilities, TimeSource clock)
    : loop_(loop),
      refusals_(refusals),
      token_(std::move(token)),
      abilities_(std::move(abilities)),
      clock_(std::move(clock)) {}

Strangers::~Strangers() = default;

void Strangers::take(transport::Connection connection, std::string address) {
  const auto now = clock_();
  update();
  if (!make_room(seats_, now)) {
    refusals_.tell("a client of another host was turned away: too many wait to say the token");
    return;
  }
  if (!group_) group_ = transport::DescriptorGroup::create(loop_).value_or(nullptr);
  EventLoop& loop = group_ ? *group_ : loop_;
  seats_.emplace_back(loop, std::move(address), Doorkeeper(token_, abilities_()), now)
      .begin(std::move(connection));
}

void Strangers::update() {
  for (Seat& seat : seats_)
    seat.update();
  seats_.remove_if([this](const Seat& seat) {
    if (!seat.gone()) return false;
    const std::string why = seat.why_closed();
    if (!why.empty()) refusals_.tell(why);
    return true;
  });
}

std::optional<Strangers::Admitted> Strangers::take_admitted() {
  for (auto seat = seats_.begin(); seat != seats_.end(); ++seat) {
    if (!seat->is_admitted()) continue;
    Admitted admitted = seat->release();
    seats_.erase(seat);
    return admitted;
  }
  return std::nullopt;
}

}  // namespace ringside
